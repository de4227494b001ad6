/** A client of SMTP and LMTP on Node. */
import type { Client, ServerAddress } from '@postern/engine/client'
import { type ConnectOptions as SocketConnectOptions, connectOver } from '../sockets/client.ts'
import { dial } from './dial.ts'

/** Options of `connect` on Node. */
export interface ConnectOptions extends SocketConnectOptions {
  /** The address to connect from. Default: the system's choice. */
  readonly localAddress?: string
}

/**
 * Connects to `smtp://`, `smtps://`, `smtp+starttls://`, `lmtp://` or `lmtp+unix:`, greets the server, begins TLS and logs in.
 * @throws ClientError. @throws TypeError or OptionError for a URL or an option that can't be.
 */
export function connect(server: string | ServerAddress, options: ConnectOptions = {}): Promise<Client> {
  const { localAddress } = options
  return connectOver((place) => dial({ ...place, localAddress }), server, options)
}
