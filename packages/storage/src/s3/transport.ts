/** The sending of requests, which differs between runtimes. */

/** A signed request. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly url: URL
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Sent without a copy, so the caller does not change it before the answer. */
  readonly body: Uint8Array<ArrayBuffer> | undefined
  /** Stops the exchange, including the body of the answer. */
  readonly signal: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  /** @param name Lower-case */
  header(name: string): string | undefined
  /** The caller iterates it to its end, or calls `discard`. */
  readonly body: AsyncIterable<Uint8Array>
  /** Drops the body. */
  discard(): void
}

/** Makes one exchange. It throws errors of the runtime. */
export type Transport = (request: HttpRequest) => Promise<HttpAnswer>
