/** Stores that keep nothing: what taking a message in costs by itself. */
import type { Message } from '@postern/engine'

/** Reads the message to its end and drops it. */
export async function discard(message: Message): Promise<void> {
  for (;;) {
    const read = message.read()
    const bytes = read instanceof Promise ? await read : read
    if (bytes === null) return
  }
}
