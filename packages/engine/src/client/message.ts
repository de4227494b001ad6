/** The bytes of an outgoing message, whatever the caller gave. */

export type OutgoingMessage =
  | Uint8Array
  | string
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>

/** A message that is not known as a whole. */
export interface Chunks {
  next(): Promise<IteratorResult<Uint8Array, unknown>> | IteratorResult<Uint8Array, unknown>
  /** Says that no more is asked for. */
  close(): void
}

const encoder = new TextEncoder()

/** Returns a message that is known as a whole; undefined for a stream. */
export function wholeMessage(message: OutgoingMessage): Uint8Array | undefined {
  if (typeof message === 'string') return encoder.encode(message)
  return message instanceof Uint8Array ? message : undefined
}

export function isStream(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  return 'getReader' in message || Symbol.asyncIterator in message || Symbol.iterator in message
}

/** Begins to read a message. */
export function chunksOf(message: Exclude<OutgoingMessage, string>): Chunks {
  if ('getReader' in message) {
    // Some runtimes have streams that are not iterable.
    const reader = message.getReader()
    return {
      next: () => reader.read() as Promise<IteratorResult<Uint8Array, unknown>>,
      close: () => void reader.cancel().catch(() => {}),
    }
  }
  const iterator =
    Symbol.asyncIterator in message
      ? message[Symbol.asyncIterator]()
      : (message as Iterable<Uint8Array>)[Symbol.iterator]()
  return { next: () => iterator.next(), close: () => closeIterator(iterator) }
}

function closeIterator(iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>): void {
  try {
    const closed: unknown = iterator.return?.()
    if (closed instanceof Promise) closed.catch(() => {})
  } catch {
    // Nobody needs it any more.
  }
}
