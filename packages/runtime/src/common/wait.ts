/** Settles a promise that somebody waits for. */
export interface Wait<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** Makes the error for waits on a connection that was closed without a reason. */
export function connectionClosed(): Error {
  return new Error('the connection was closed')
}
