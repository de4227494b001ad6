/**
 * Begins work on the next items while the caller uses the last result. Yields the results in the order of the items.
 * @param maxBegun The greatest number of items that are begun and not yet yielded
 */
export async function* ahead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  maxBegun: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = []
  for await (const item of items) {
    const result = work(item)
    // Prevents an unhandled rejection if the caller leaves its loop before this result.
    result.catch(() => undefined)
    if (begun.push(result) === maxBegun) yield await (begun.shift() as Promise<R>)
  }
  for (const result of begun) yield await result
}
