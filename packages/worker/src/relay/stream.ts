/** The bytes of a message as a Web stream. */
import type { Pieces } from '@postern/relay'

export function streamOf(pieces: Pieces): ReadableStream<Uint8Array> {
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done === true) controller.close()
      // A piece may change when the next one is asked for.
      else controller.enqueue(value.slice())
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}
