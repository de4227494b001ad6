/** A client of SMTP and LMTP in a Worker. */
import type { Client, ServerAddress } from '@postern/engine/client'
import { connectBy, type ConnectBasics } from '../common/connect.ts'
import { dial, type DialTlsOptions } from './dial.ts'

export interface ConnectOptions extends ConnectBasics {
  /** The name in EHLO or LHLO. A Worker has none of its own. */
  readonly hostname: string
  /** The runtime checks every certificate. */
  readonly tls?: DialTlsOptions
}

/**
 * Connects to `smtp://`, `smtps://`, `smtp+starttls://` or `lmtp://`, greets the server, begins TLS and logs in. workerd checks every
 * certificate, so STARTTLS that is only offered also needs one that it trusts. Cloudflare's network blocks port 25.
 * @throws ClientError. @throws TypeError or OptionError for a URL or an option that can't be.
 */
export function connect(server: string | ServerAddress, options: ConnectOptions): Promise<Client> {
  const { tls = {}, connectTimeoutMs, lingerMs, signal } = options
  const deps = {
    systemName: () => '',
    dial: ({ host, port, path, implicitTls }: ServerAddress, { mayUseTls }: { readonly mayUseTls: boolean }) => {
      if (path !== undefined) throw new TypeError(`${path}: a Worker has no Unix sockets`)
      return dial({ host, port, implicitTls, ...(mayUseTls && { tls }), connectTimeoutMs, lingerMs, signal })
    },
  }
  return connectBy(deps, server, options, undefined)
}
