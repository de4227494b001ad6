/**
 * A connection of Deno as a carrier. Deno's `read` fills a buffer of ours.
 * Each connection waits with a small buffer, because most connections are idle. If a peer fills it, the next one is
 * larger. Bytes are handed on as a view, and that part of the buffer is never used again. So the reader may keep the
 * view, and nothing is copied.
 */
import { connectionClosed } from '../common/wait.ts'
import type { DenoConnection } from './api.ts'
import type { Carrier, Sink } from './carrier.ts'

const MIN_BUFFER_BYTES = 1_024
const MAX_BUFFER_BYTES = 65_536
/** How many times larger, or smaller, the next buffer is. */
const STEP = 8
/**
 * After this many reads that a smaller buffer could hold, the next buffer is smaller. Between two messages there are
 * fewer such reads.
 */
const LITTLE_READS = 16
/** If this many written bytes have not left, the writer waits. */
const HIGH_WATER_MARK = 16_384

export class Clear implements Carrier {
  #sink: Sink
  readonly #connection: DenoConnection
  #buffer: Uint8Array = new Uint8Array(MIN_BUFFER_BYTES)
  #used = 0
  #lastByteLength = 0
  #littleReads = 0
  #resume: (() => void) | undefined
  readonly #unsent: Uint8Array[] = []
  #unsentBytes = 0
  #isSending = false
  #isFinishing = false
  #isFinished = false
  #isEnded = false
  #isClosed = false

  constructor(connection: DenoConnection, sink: Sink) {
    this.#connection = connection
    this.#sink = sink
    try {
      connection.setNoDelay?.(true)
    } catch {
      // The connection is closed already. The read will report that.
    }
    void this.#receive()
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  get isFinished(): boolean {
    return this.#isFinished
  }

  /** Reports to another sink from now on. If the last sink had enough, the carrier stays paused. */
  tell(sink: Sink): void {
    this.#sink = sink
  }

  resume(): void {
    this.#resume?.()
  }

  write(bytes: Uint8Array): boolean {
    if (bytes.byteLength === 0 || this.#isClosed) return true
    this.#unsent.push(bytes)
    this.#unsentBytes += bytes.byteLength
    if (!this.#isSending) void this.#send()
    return this.#unsentBytes < HIGH_WATER_MARK
  }

  finish(): void {
    this.#isFinishing = true
    if (!this.#isSending) void this.#send()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#connection.close()
    this.#resume?.()
    this.#sink.close()
  }

  async #receive(): Promise<void> {
    try {
      while (!this.#isClosed) {
        const room = this.#room()
        const byteLength = await this.#connection.read(room)
        if (this.#isClosed) return
        if (byteLength === null) {
          this.#isEnded = true
          this.#sink.end()
          return this.#closeWhenDone()
        }
        this.#used += byteLength
        this.#lastByteLength = byteLength
        if (!this.#sink.data(room.subarray(0, byteLength))) await this.#resumed()
      }
    } catch (error) {
      this.#break(error)
    }
  }

  /**
   * Returns the buffer for the next bytes. If the peer filled the last one, the next is larger. If the peer has sent
   * little for some time, longer than between two messages, the next is smaller.
   */
  #room(): Uint8Array {
    const { byteLength } = this.#buffer
    const left = byteLength - this.#used
    this.#littleReads = this.#lastByteLength < byteLength / STEP ? this.#littleReads + 1 : 0
    const saysLittle = this.#littleReads >= LITTLE_READS && byteLength > MIN_BUFFER_BYTES
    if (left < byteLength / 4 || saysLittle) {
      const wanted = left === 0 ? byteLength * STEP : saysLittle ? byteLength / STEP : byteLength
      this.#buffer = new Uint8Array(Math.min(wanted, MAX_BUFFER_BYTES))
      this.#used = 0
      this.#littleReads = 0
    }
    return this.#buffer.subarray(this.#used)
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = () => {
        this.#resume = undefined
        resolve()
      }
    })
  }

  async #send(): Promise<void> {
    this.#isSending = true
    try {
      for (let bytes = this.#unsent.shift(); bytes !== undefined; bytes = this.#unsent.shift()) {
        while (bytes.byteLength > 0) {
          const taken = await this.#connection.write(bytes)
          if (this.#isClosed) return
          this.#unsentBytes -= taken
          bytes = bytes.subarray(taken)
        }
      }
      if (this.#isFinishing && !this.#isFinished) {
        await this.#connection.closeWrite()
        if (this.#isClosed) return
        this.#isFinished = true
      }
      this.#isSending = false
      this.#sink.drain()
      this.#closeWhenDone()
    } catch (error) {
      this.#break(error)
    }
  }

  #closeWhenDone(): void {
    if (this.#isFinished && this.#isEnded) this.close()
  }

  #break(error: unknown): void {
    // `close` has told the sink already.
    if (this.#isClosed) return
    this.#sink.error(error instanceof Error ? error : connectionClosed())
    this.close()
  }
}
