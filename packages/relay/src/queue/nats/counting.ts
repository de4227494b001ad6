/** Goes through the entries that this process knows, a slice at a time, so that the event loop has its turns. */
import type { ListQueueOptions, QueueStats } from '../queue.ts'
import { Ranking } from '../ranking.ts'
import { type KnownEntry, shownState } from './known.ts'
import type { Mirror } from './mirror.ts'

/** Some milliseconds of work. */
const SLICE = 5_000

/** Returns entries behind a place in the order. All that `options` wants are among them. */
export async function* entriesBehind(
  mirror: Mirror,
  after: number,
  options: ListQueueOptions,
): AsyncGenerator<KnownEntry, void, undefined> {
  if (options.messageId !== undefined) {
    for (const entry of mirror.byMessage(options.messageId))
      if (entry.order > after && isWanted(entry, options)) yield entry
    return
  }
  let count = 0
  for (let entry = mirror.behind(after); entry !== undefined; entry = mirror.behind(entry.order)) {
    if (++count % SLICE === 0) await othersTurn()
    if (isWanted(entry, options)) yield entry
  }
}

function isWanted({ deliveries }: KnownEntry, { state, destination }: ListQueueOptions): boolean {
  if (state === 'finished' && !deliveries.every((delivery) => shownState(delivery) === state)) return false
  return deliveries.some(
    (delivery) =>
      (state === undefined || shownState(delivery) === state) &&
      (destination === undefined || delivery.destination === destination),
  )
}

export async function countAll(mirror: Mirror, maxDestinations: number): Promise<QueueStats> {
  const counts = new Map<string, number>()
  const deliveries = { waiting: 0, due: 0, held: 0, finished: 0 }
  let entries = 0
  let oldestQueuedAt: number | undefined
  for await (const entry of entriesBehind(mirror, 0, {})) {
    entries++
    for (const delivery of entry.deliveries) {
      const state = shownState(delivery)
      deliveries[state]++
      if (state === 'finished') continue
      counts.set(delivery.destination, (counts.get(delivery.destination) ?? 0) + 1)
      oldestQueuedAt ??= entry.queuedAt
    }
  }
  const ranking = new Ranking(maxDestinations)
  for (const [destination, count] of counts) ranking.add(destination, count)
  return {
    entries,
    deliveries,
    leased: mirror.countOwn(),
    ...(oldestQueuedAt !== undefined && { oldestQueuedAt }),
    ...ranking.result(),
  }
}

/** Lets the event loop do something else. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0)
  })
}
