/** Returns whether the answer comes later. Any object with a method `then` counts, because hooks may use a library's own promises. */
export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === 'function'
}
