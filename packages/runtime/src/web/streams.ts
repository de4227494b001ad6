/**
 * The engine's Duplex as a pair of Web streams.
 * Neither stream buffers. The readable reads the Duplex only when its reader reads. The writable takes the next chunk
 * when the Duplex has taken the last one.
 */
import type { Duplex } from '@postern/engine'
import type { StreamPair } from './duplex.ts'

/**
 * Makes a pair of streams from a Duplex. After that, only the streams may use the Duplex.
 * Closing the writable sends the end, and does not wait for the peer's end. Cancelling the readable or aborting the
 * writable destroys the whole connection, because one direction alone can end but not break.
 * The readable is a byte stream, and takes views to fill (BYOB). Its chunks are copies, because the Duplex's own views
 * are valid only until its next read.
 */
export function toWebStreams(duplex: Duplex): StreamPair {
  const destroy = (reason?: unknown): void => duplex.destroy(reason instanceof Error ? reason : undefined)
  const readable = new ReadableStream(
    {
      type: 'bytes',
      async pull(controller) {
        const answer = duplex.read()
        const bytes = answer instanceof Promise ? await answer : answer
        if (bytes !== null) return controller.enqueue(bytes.slice())
        controller.close()
        // A view that waits to be filled must be given back.
        controller.byobRequest?.respond(0)
      },
      cancel: destroy,
    },
    { highWaterMark: 0 },
  ) as ReadableStream<Uint8Array>
  const writable = new WritableStream<Uint8Array>({
    write(chunk) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a chunk is not a Uint8Array')
      return duplex.write(chunk)
    },
    close() {
      // A reader sees how the connection ends.
      duplex.end().catch(() => {})
    },
    abort: destroy,
  })
  return { readable, writable }
}
