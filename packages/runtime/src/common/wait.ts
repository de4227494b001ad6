/** Somebody waits for an answer. */
export interface Wait<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** What who waits is told where the connection ended without a reason. */
export function connectionClosed(): Error {
  return new Error('the connection was closed')
}
