/**
 * The client's own connection behind a proxy. The proxy's header gives its addresses and its TLS. Its first bytes are
 * those behind the header.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '../../duplex.ts'
import type { ProxyHeader } from '../../protocol/framing/proxy-header.ts'

const NOTHING = new Uint8Array(0)

export class ProxiedDuplex implements Duplex {
  readonly remote: Endpoint
  readonly local: Endpoint
  tls: TlsInfo | undefined

  readonly #inner: Duplex
  /** The bytes behind the header that were not read yet. */
  #rest: Uint8Array

  constructor(inner: Duplex, { endpoints, tls }: ProxyHeader, rest: Uint8Array) {
    this.#inner = inner
    this.#rest = rest
    this.remote = endpoints?.source ?? inner.remote
    this.local = endpoints?.destination ?? inner.local
    // TLS from before the header is between the proxy and us, and says nothing about the client.
    this.tls = endpoints === undefined ? inner.tls : tls
  }

  get startTls(): Duplex['startTls'] {
    return this.tls === undefined && this.#inner.startTls !== undefined ? this.#startTls : undefined
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    if (this.#rest.byteLength === 0) return this.#inner.read()
    return this.#takeRest()
  }

  write(bytes: Uint8Array): void | Promise<void> {
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

  readonly #startTls = async (received?: Uint8Array): Promise<TlsInfo> => {
    const rest = this.#takeRest()
    if (received === undefined && rest.byteLength > 0) throw new EarlyBytesError(rest.byteLength)
    const begun = received && (rest.byteLength === 0 ? received : join(received, rest))
    const secured = this.#inner.startTls?.(begun)
    if (secured === undefined) throw new Error('this connection cannot become TLS')
    this.tls = await secured
    return this.tls
  }

  #takeRest(): Uint8Array {
    const rest = this.#rest
    this.#rest = NOTHING
    return rest
  }
}

/** Joins two pieces. */
export function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.byteLength + second.byteLength)
  joined.set(first)
  joined.set(second, first.byteLength)
  return joined
}
