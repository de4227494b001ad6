/** How requests travel: what differs from one runtime to the next. */

/** A signed request. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly url: URL
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Sent as it is, without a copy: it must not change before the answer. */
  readonly body: Uint8Array<ArrayBuffer> | undefined
  /** Ends the exchange, its answer's body included. */
  readonly signal: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  /** @param name Lower-case */
  header(name: string): string | undefined
  /** To be iterated to its end, or to be given up. */
  readonly body: AsyncIterable<Uint8Array>
  /** Gives the body up. */
  discard(): void
}

/** Makes one exchange. What it throws is the runtime's own. */
export type Transport = (request: HttpRequest) => Promise<HttpAnswer>
