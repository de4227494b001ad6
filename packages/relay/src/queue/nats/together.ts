/** Does the same with many items, some of them at the same time. */

const MAX_AT_ONCE = 64

/** Returns the results in the order of the items. Rejects with the first error, when all that was begun has ended. */
export async function together<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length && failures.length === 0; at = next++) {
      try {
        results[at] = await work(items[at] as T)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}
