/** Runs one SMTP dialogue with a server in the same program. Sends all text at once, and reads every reply until the close. */
import type { Server } from '@postern/engine'
import { pair, type PairOptions } from '@postern/runtime/memory'
import { DuplexClient } from '../kit/client/duplex-client.ts'

/** Sends `text` in one write, ends, and returns all replies. */
export async function converse(server: Server, text: string, options: PairOptions = {}): Promise<string> {
  const [far, accepted] = pair(options)
  const client = new DuplexClient(far)
  const served = server.accept(accepted)
  void client.send(text)
  client.end()
  const replies = await client.repliesToEnd()
  await served
  return replies.map(({ raw }) => raw).join('')
}
