/** A duplex of the server that notes what the server reads and writes, and when it waits for its client. */
import type { Duplex, TlsInfo } from '@postern/engine'

/** What one side sent between two points at which the connection changes: from clear to TLS. */
export interface Traffic {
  readonly isSecure: boolean
  /** Latin-1. */
  received: string
  written: string
}

export class WatchedDuplex implements Duplex {
  /** In clear, and then under TLS. */
  readonly traffic: Traffic[] = [{ isSecure: false, received: '', written: '' }]
  receivedOctets = 0
  writtenOctets = 0
  /** True once the server has ended its direction. */
  isEnding = false
  /** True once the session has ended. */
  isOver = false
  isShakingHands = false
  readonly #inner: Duplex
  #isReading = false
  #isWriting = false
  #news: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(inner: Duplex) {
    this.#inner = inner
  }

  get remote(): Duplex['remote'] {
    return this.#inner.remote
  }

  get local(): Duplex['local'] {
    return this.#inner.local
  }

  get tls(): TlsInfo | undefined {
    return this.#inner.tls
  }

  get channelBinding(): Duplex['channelBinding'] {
    return this.#inner.channelBinding
  }

  get startTls(): Duplex['startTls'] {
    const { startTls } = this.#inner
    return startTls && ((received) => this.#secure(() => startTls.call(this.#inner, received)))
  }

  /** Everything that the server wrote. */
  get written(): string {
    return this.traffic.map(({ written }) => written).join('')
  }

  /** Resolves when something changes. */
  get news(): Promise<void> {
    return this.#news.promise
  }

  read(): ReturnType<Duplex['read']> {
    const bytes = this.#inner.read()
    if (!(bytes instanceof Promise)) return this.#received(bytes)
    this.#isReading = true
    this.#tell()
    return bytes.then(
      (later) => {
        this.#isReading = false
        return this.#received(later)
      },
      (error: unknown) => {
        this.#isReading = false
        throw error
      },
    )
  }

  write(bytes: Uint8Array): ReturnType<Duplex['write']> {
    this.#last.written += Buffer.from(bytes).toString('latin1')
    this.writtenOctets += bytes.length
    const written = this.#inner.write(bytes)
    this.#isWriting = written instanceof Promise
    this.#tell()
    if (!(written instanceof Promise)) return
    return written.finally(() => {
      this.#isWriting = false
      this.#tell()
    })
  }

  end(): Promise<void> {
    this.isEnding = true
    this.#tell()
    return this.#inner.end()
  }

  destroy(reason?: Error): void {
    this.#inner.destroy(reason)
  }

  whenClosed(listener: () => void): void {
    this.#inner.whenClosed?.(listener)
  }

  /** Notes that the session has ended. */
  over(): void {
    this.isOver = true
    this.#tell()
  }

  /**
   * Waits until the server has used up so many octets and waits for its client. Also returns when the session has ended or is about
   * to, and when the server waits for a handshake.
   *
   * @param isHeard The client reads replies. If it does not, a server that waits for that has used up what it will.
   */
  async quiet(sentOctets: number, isHeard: boolean): Promise<void> {
    while (!this.isOver && !this.isEnding && !this.isShakingHands) {
      if (this.#isWriting ? !isHeard : this.#isReading && this.receivedOctets >= sentOctets) return
      await this.#news.promise
    }
  }

  /** Waits until the session has ended. */
  async ended(): Promise<void> {
    while (!this.isOver) await this.#news.promise
  }

  get #last(): Traffic {
    return this.traffic.at(-1) as Traffic
  }

  #received(bytes: Uint8Array | null): Uint8Array | null {
    if (bytes === null) return null
    this.#last.received += Buffer.from(bytes).toString('latin1')
    this.receivedOctets += bytes.length
    return bytes
  }

  async #secure(startTls: () => Promise<TlsInfo>): Promise<TlsInfo> {
    this.isShakingHands = true
    this.#tell()
    try {
      const info = await startTls()
      this.traffic.push({ isSecure: true, received: '', written: '' })
      return info
    } finally {
      this.isShakingHands = false
      this.#tell()
    }
  }

  #tell(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
