import { createHash } from 'node:crypto'
import type { Message } from '@postern/engine'

/** Reads the message to its end and drops it, but for the digest that every store keeps. */
export async function hash(message: Message): Promise<void> {
  const digest = createHash('sha256')
  for (;;) {
    const read = message.read()
    const bytes = read instanceof Promise ? await read : read
    if (bytes === null) break
    digest.update(bytes)
  }
  digest.digest()
}
