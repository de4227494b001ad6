/** An attempt to connect, on every runtime that dials. */

/** How long an attempt may take, and the signal that cancels it. */
export interface AttemptBounds {
  /** Default 30,000. */
  readonly connectTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Waits for an attempt within its bounds. Rejects with ETIMEDOUT, or with the signal's reason.
 * @param place Part of the error's text
 */
export async function withinBounds<T>(attempt: Promise<T>, place: string, bounds: AttemptBounds): Promise<T> {
  const { signal, connectTimeoutMs = 30_000 } = bounds
  const givenUp = Promise.withResolvers<never>()
  const abort = (): void => givenUp.reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  const timer = setTimeout(() => {
    const error = new Error(`no connection to ${place} within ${connectTimeoutMs} ms`)
    givenUp.reject(Object.assign(error, { code: 'ETIMEDOUT' }))
  }, connectTimeoutMs)
  try {
    return await Promise.race([attempt, givenUp.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
