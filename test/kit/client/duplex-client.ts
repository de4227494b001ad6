/** A client over a `Duplex`: in memory, or dialled. Reads only while a test waits for bytes. Needs no certain runtime. */
import type { Duplex } from '@postern/engine'
import { Client } from './client.ts'

export class DuplexClient extends Client {
  readonly duplex: Duplex
  #isReading = false
  #written: Promise<void> = Promise.resolve()

  constructor(duplex: Duplex) {
    super()
    this.duplex = duplex
  }

  override end(): void {
    // A broken connection shows in the replies.
    void this.#written.then(() => this.duplex.end()).catch(() => {})
  }

  override close(): void {
    this.duplex.destroy()
  }

  /** Does the TLS handshake on the connection. */
  async startTls(): Promise<void> {
    await this.duplex.startTls?.()
  }

  /** Writes after earlier writes. Copies the bytes, because the peer may keep a view of them. */
  protected override transmit(bytes: string | Uint8Array): Promise<void> {
    const copy = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice()
    this.#written = this.#written.then(() => this.duplex.write(copy))
    return this.#written
  }

  protected override pull(): void {
    if (this.#isReading) return
    this.#isReading = true
    void this.#read()
  }

  async #read(): Promise<void> {
    try {
      const bytes = await this.duplex.read()
      this.#isReading = false
      if (bytes === null) this.over('end')
      else this.heard(bytes)
    } catch (error) {
      this.#isReading = false
      this.over('reset', error)
    }
  }
}
