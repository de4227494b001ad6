/** A duplex that counts its reads and writes. */
import type { Duplex, TlsInfo } from '@postern/engine'

export interface Counts {
  /** How many reads gave bytes. */
  reads: number
  writes: number
}

/** Wraps a duplex and counts its calls. Changes nothing. */
export class CountedDuplex implements Duplex {
  readonly #inner: Duplex
  readonly #counts: Counts
  readonly startTls?: () => Promise<TlsInfo>

  constructor(inner: Duplex, counts: Counts) {
    this.#inner = inner
    this.#counts = counts
    if (inner.startTls !== undefined) this.startTls = () => (inner.startTls as () => Promise<TlsInfo>)()
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

  read(): ReturnType<Duplex['read']> {
    const bytes = this.#inner.read()
    if (!(bytes instanceof Promise)) return this.#count(bytes)
    return bytes.then((later) => this.#count(later))
  }

  write(bytes: Uint8Array): ReturnType<Duplex['write']> {
    this.#counts.writes++
    return this.#inner.write(bytes)
  }

  end(): Promise<void> {
    return this.#inner.end()
  }

  destroy(reason?: Error): void {
    this.#inner.destroy(reason)
  }

  whenClosed(listener: () => void): void {
    this.#inner.whenClosed?.(listener)
  }

  #count(bytes: Uint8Array | null): Uint8Array | null {
    if (bytes !== null) this.#counts.reads++
    return bytes
  }
}
