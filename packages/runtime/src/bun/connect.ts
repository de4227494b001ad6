/** A client of SMTP and LMTP on Bun. */
import type { Client, ServerAddress } from '@postern/engine/client'
import { type ConnectOptions, connectOver } from '../sockets/client.ts'
import { dial } from './dial.ts'

/**
 * Connects to `smtp://`, `smtps://`, `smtp+starttls://`, `lmtp://` or `lmtp+unix:`, greets the server, begins TLS and logs in.
 * @throws ClientError. @throws TypeError or OptionError for a URL or an option that can't be.
 */
export function connect(server: string | ServerAddress, options: ConnectOptions = {}): Promise<Client> {
  return connectOver(dial, server, options)
}
