/** Options of `connect`, and what it does, on the runtimes with sockets. */
import type { Duplex } from '@postern/engine'
import type { Client, ServerAddress } from '@postern/engine/client'
import { hostname } from 'node:os'
import { connectBy, type ConnectBasics, type Route } from '../common/connect.ts'
import type { DialOptions, DialTlsOptions } from './outbound.ts'

/** Options of Node's `tls.connect`: servername, ca, cert, key … */
export interface ConnectTlsOptions extends Omit<DialTlsOptions, 'rejectUnauthorized'> {
  /**
   * Whether the server must show a certificate that this side trusts, and that has the server's name. Default: true for `smtps:`,
   * for STARTTLS that is required, and with credentials. Otherwise any certificate will do, as between hosts that relay mail.
   */
  readonly verify?: boolean
}

export interface ConnectOptions extends ConnectBasics {
  readonly tls?: ConnectTlsOptions
}

/** Connects by the sockets of a runtime. @throws ClientError */
export function connectOver(
  dial: (options: DialOptions) => Promise<Duplex>,
  server: string | ServerAddress,
  options: ConnectOptions,
  systemName: () => string = hostname,
): Promise<Client> {
  const { tls = {}, connectTimeoutMs, lingerMs, signal } = options
  const { verify, ...rest } = tls
  const deps = {
    systemName,
    dial: ({ host, port, path, implicitTls }: ServerAddress, { mayUseTls, isVerified }: Route): Promise<Duplex> =>
      dial({
        ...(path === undefined ? { host, port } : { path }),
        implicitTls,
        ...(mayUseTls && { tls: { ...rest, rejectUnauthorized: isVerified } }),
        connectTimeoutMs,
        lingerMs,
        signal,
      }),
  }
  return connectBy(deps, server, options, verify)
}
