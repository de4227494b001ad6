/**
 * Begins work on the next items while the caller uses the last result. Yields the results in the order of the items. So many items at
 * most are begun and not yet yielded.
 */
export async function* ahead<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  maxBegun: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = []
  for await (const item of items) {
    const result = work(item)
    // The caller may leave before it gets to this one.
    result.catch(() => undefined)
    if (begun.push(result) === maxBegun) yield await (begun.shift() as Promise<R>)
  }
  for (const result of begun) yield await result
}
