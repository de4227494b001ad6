/**
 * A clear connection as the stream that `node:tls` needs underneath.
 * Deno's TLS (2.9) never pauses such a stream, so a peer that keeps sending would fill the memory. So the reader of the
 * plaintext holds the ciphertext back here.
 */
import { Duplex } from 'node:stream'
import type { Clear } from './clear.ts'

/** How many bytes Node's streams buffer, in each direction. */
const STREAM_BUFFER_BYTES = 16_384

export class Ciphertext extends Duplex {
  readonly #clear: Clear
  #isHeld = false
  /** Called when the bytes that were written in clear have left. */
  #clearSent: (() => void) | undefined
  #taken: (() => void) | undefined
  #ended: (() => void) | undefined
  #isClosed = false
  #closed: (() => void) | undefined

  /**
   * @param received Bytes that have come already. The stream gives them first.
   * @param clearSent Continues a write in clear that still waits.
   */
  constructor(clear: Clear, received: readonly Uint8Array[], clearSent: () => void) {
    super({ highWaterMark: STREAM_BUFFER_BYTES })
    this.#clear = clear
    if (clear.unsentBytes > 0) this.#clearSent = clearSent
    for (const bytes of received) this.push(bytes)
    // TLS gets the stream's errors itself. Without this listener, Node would throw errors that come when TLS has ended.
    this.on('error', () => {})
    clear.tell({
      data: (bytes) => this.push(bytes) && !this.#isHeld,
      end: () => void this.push(null),
      drain: () => this.#onDrain(),
      error: (error) => void this.destroy(error),
      close: () => this.#onClose(),
    })
  }

  /** Gives no more bytes until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.#clear.resume()
  }

  /** Calls the listener when the connection underneath is closed; at once if it is closed already. */
  whenClosed(listener: () => void): void {
    if (this.#isClosed) listener()
    else this.#closed = listener
  }

  override _read(): void {
    if (!this.#isHeld) this.#clear.resume()
  }

  override _write(bytes: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (this.#clear.write(bytes)) done()
    else this.#taken = done
  }

  override _final(done: () => void): void {
    this.#ended = done
    this.#clear.finish()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // When both sides have ended TLS, Deno destroys this stream. Its last bytes may not have left yet.
    if (error === null && this.#clear.unsentBytes > 0) this.#clear.finish()
    else this.#clear.close()
    done(error)
  }

  #onClose(): void {
    this.#isClosed = true
    this.destroy()
    this.#closed?.()
  }

  #onDrain(): void {
    this.#clearSent?.()
    this.#clearSent = undefined
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
    if (!this.#clear.isFinished) return
    if (this.destroyed) this.#clear.close()
    else this.#ended?.()
  }
}
