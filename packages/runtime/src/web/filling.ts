/**
 * A reader of a byte stream that brings its own buffers (BYOB). Left to itself a stream hands out what it likes, on workerd 4 KiB at
 * a time, and each piece costs as much as a large one.
 */

/** The smallest buffer: what waits for a peer that says nothing. */
const LEAST_BYTES = 4_096
/** What a peer that was fast a moment ago may hold while it says nothing. */
const MOST_BYTES = 32_768
/** How many times larger the next one is. */
const GROWTH = 4
/** Of a buffer that is filled less than this part, the bytes alone are kept. */
const MIN_FILLED = 1 / 2

/** What a duplex asks of a stream's reader. */
export interface StreamReader {
  readonly closed: Promise<unknown>
  read(): Promise<{ readonly done: boolean; readonly value?: unknown }>
  /** What the last read gave, without more memory behind it than is worth while. Then the next read may be asked for. */
  own?(bytes: Uint8Array): Uint8Array
  cancel(reason: unknown): Promise<void>
  releaseLock(): void
}

/** Locks the stream. One that is no byte stream gives what it likes. @throws TypeError where it is locked */
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
  /** Of the last read, where nothing of it was handed out and the next is to be as large. */
  #buffer: ArrayBufferLike | undefined

  /** Locks the stream. @throws TypeError where it is locked, or no byte stream */
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
    // Behind what filled the buffer there is more, most likely; what did not was all there is.
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
