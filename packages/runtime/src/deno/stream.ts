/** A connection in clear as the stream that `node:tls` wants underneath. */
import { Duplex } from 'node:stream'
import type { Sink } from './carrier.ts'
import type { Clear } from './clear.ts'

/** What Node's streams keep of their own, in each direction. */
export const STREAM_BUFFER_BYTES = 16_384

/** @param received What has come already, and is the beginning of what the stream gives. */
export function streamOf(clear: Clear, received: readonly Uint8Array[]): Duplex {
  let taken: (() => void) | undefined
  let ended: (() => void) | undefined
  const stream = new Duplex({
    highWaterMark: STREAM_BUFFER_BYTES,
    read: () => clear.resume(),
    write(bytes: Uint8Array, _, done) {
      if (clear.write(bytes)) done()
      else taken = done
    },
    final(done) {
      ended = done
      clear.finish()
    },
    destroy(error, done) {
      clear.close()
      done(error)
    },
  })
  const sink: Sink = {
    data: (bytes) => stream.push(bytes),
    end: () => void stream.push(null),
    drain() {
      const done = taken
      taken = undefined
      done?.()
      if (clear.isFinished) ended?.()
    },
    error: (error) => void stream.destroy(error),
    close: () => void stream.destroy(),
  }
  for (const bytes of received) stream.push(bytes)
  clear.tell(sink)
  // Where the last reader had enough, this one has not.
  clear.resume()
  return stream
}
