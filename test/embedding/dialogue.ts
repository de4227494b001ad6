/** Runs one SMTP dialogue with a server in the same program. Sends all text at once, and reads every reply until the close. */
import type { Duplex, Server } from '@postern/engine'
import { pair, type PairOptions } from '@postern/runtime/memory'

/** Sends `text` in one write, ends, and returns all replies. */
export async function converse(server: Server, text: string, options: PairOptions = {}): Promise<string> {
  const [client, accepted] = pair(options)
  const served = server.accept(accepted)
  const answered = readAll(client)
  await client.write(new TextEncoder().encode(text))
  void client.end()
  const replies = await answered
  await served
  return replies
}

async function readAll(duplex: Duplex): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const bytes = await duplex.read()
    if (bytes === null) return text
    text += decoder.decode(bytes, { stream: true })
  }
}
