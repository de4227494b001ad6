/** Where the bytes of a message come from. */

/** A message, or where its bytes come from. A string is encoded as UTF-8. */
export type MessageSource =
  | string
  | Uint8Array
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>

type Chunk = IteratorResult<Uint8Array, unknown>

/** One chunk after another. */
export interface Source {
  next(): Chunk | Promise<Chunk>
  /** Tells that nobody reads any more. */
  cancel(): Promise<void>
}

/** @throws TypeError */
export function sourceOf(message: MessageSource): Source {
  if (typeof message === 'string') return sourceOf(new TextEncoder().encode(message))
  if (message instanceof Uint8Array) return fromIterator([message][Symbol.iterator]())
  const {
    [Symbol.asyncIterator]: each,
    [Symbol.iterator]: eachNow,
    getReader,
  } = message as Partial<AsyncIterable<Uint8Array> & Iterable<Uint8Array> & ReadableStream<Uint8Array>>
  if (each !== undefined) return fromIterator(each.call(message))
  if (eachNow !== undefined) return fromIterator(eachNow.call(message))
  if (getReader !== undefined) return fromStream(message as ReadableStream<Uint8Array>)
  throw new TypeError('message: not a string, a Uint8Array, an iterable of Uint8Array or a ReadableStream')
}

function fromIterator(iterator: Iterator<Uint8Array> | AsyncIterator<Uint8Array>): Source {
  return {
    next: () => iterator.next(),
    cancel: async () => {
      await iterator.return?.()
    },
  }
}

/** For runtimes whose streams have no iterator. */
function fromStream(stream: ReadableStream<Uint8Array>): Source {
  const reader = stream.getReader()
  return { next: () => reader.read() as Promise<Chunk>, cancel: () => reader.cancel() }
}
