/**
 * A reader of a byte stream that brings its own buffers (BYOB). Without them, the stream chooses the size of its
 * chunks. On workerd that is 4 KiB, and each chunk costs as much as a large one.
 */

/** The smallest buffer. A read of an idle connection waits with it. */
const LEAST_BYTES = 4_096
/** The largest buffer. A peer that was fast before keeps one while it sends nothing. */
const MOST_BYTES = 32_768
/** How many times larger the next buffer is. */
const GROWTH = 4
/**
 * If less than this part of a buffer is filled, the caller gets a copy, so that it does not keep the whole buffer in
 * memory.
 */
const MIN_FILLED = 1 / 2

/** The part of a stream's reader that a duplex uses. */
export interface StreamReader {
  readonly closed: Promise<unknown>
  read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
  /** Returns the bytes of the last read. Copies them if they are few in a large buffer. Called before the next read. */
  own?(bytes: Uint8Array): Uint8Array
  cancel(reason: unknown): Promise<void>
  releaseLock(): void
}

/**
 * Locks the stream. If it is not a byte stream, reads the stream's own chunks.
 * @throws TypeError if it is locked
 */
export function fillingReader(readable: ReadableStream<Uint8Array>): StreamReader {
  try {
    return new FillingReader(readable)
  } catch {
    return readable.getReader()
  }
}

export class FillingReader implements StreamReader {
  readonly #reader: ReadableStreamBYOBReader
  #byteLength = LEAST_BYTES
  /** The buffer of the last read, if no part of it was handed out and the next one has the same size. */
  #buffer: ArrayBufferLike | undefined

  /**
   * Locks the stream.
   * @throws TypeError if it is locked, or not a byte stream
   */
  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader({ mode: 'byob' })
  }

  get closed(): Promise<unknown> {
    return this.#reader.closed
  }

  read(): Promise<{ readonly done: boolean; readonly value?: unknown }> {
    const buffer = this.#buffer ?? new ArrayBuffer(this.#byteLength)
    this.#buffer = undefined
    return this.#reader.read(new Uint8Array(buffer))
  }

  own(bytes: Uint8Array): Uint8Array {
    const { byteLength, buffer } = bytes
    // If the buffer was filled, more bytes are probably waiting.
    if (byteLength === this.#byteLength) this.#byteLength = Math.min(byteLength * GROWTH, MOST_BYTES)
    else if (byteLength < this.#byteLength / GROWTH) this.#byteLength = LEAST_BYTES
    if (byteLength >= buffer.byteLength * MIN_FILLED) return bytes
    const copy = bytes.slice()
    if (buffer.byteLength === this.#byteLength) this.#buffer = buffer
    return copy
  }

  cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason)
  }

  releaseLock(): void {
    this.#reader.releaseLock()
  }
}
