/** Power cuts at every moment of a scenario, and what may be left by each. */
import type { Random } from '../../../test/kit/random.ts'
import type { Ages } from './inode.ts'
import { type Choose, PowerCutDisk } from './power-cut-disk.ts'
import { Book, type OpenStore, type Scenario } from './scenarios.ts'

/** Nothing is there but what is safe. */
export const SAFE: Choose = () => 0

/** What is tried: what opens a store, and makes what has to be there before. */
export interface Subject {
  readonly open?: OpenStore
  /** How old files look. */
  readonly ages?: Ages
  format?(disk: PowerCutDisk): Promise<void>
}

/** A store on a disk, and what it promised. */
export interface Prepared {
  readonly disk: PowerCutDisk
  readonly book: Book
}

/** What there is before the scenario begins. */
export async function prepare(scenario: Scenario, subject: Subject = {}): Promise<Prepared> {
  const disk = new PowerCutDisk(subject.ages)
  await subject.format?.(disk)
  const book = new Book(disk, new Map(), subject.open)
  await scenario.prepare(book)
  return { disk, book }
}

/** The scenario on a disk that stops at this call; or is over, having made fewer. */
export async function stopped(
  { run }: Scenario,
  prepared: Prepared,
  stopAt: number,
  subject: Subject = {},
): Promise<Prepared & { readonly isOver: boolean }> {
  // What was answered long ago is safe.
  const disk = prepared.disk.cut(SAFE, SAFE)
  const book = new Book(disk, prepared.book.fates, subject.open)
  disk.stopAt = stopAt
  const isOver = await Promise.race([run(book).then(() => true), disk.stopped.then(() => false)])
  return { disk, book, isOver }
}

/**
 * Every row of choices there is, the one of nothing but what is safe first; where they are too many, half by chance.
 *
 * @param most Cuts that are looked at for one moment
 */
export function* choices(random: Random, most = 24): Generator<[Choose, Choose]> {
  const chance: Choose = (count) => random.below(count)
  const path: number[] = []
  for (let cut = 0; cut < most / 2; cut++) {
    const counts: number[] = []
    yield [
      (count) => {
        counts.push(count)
        return (path[counts.length - 1] ??= 0)
      },
      cut === 0 ? SAFE : chance,
    ]
    let last = counts.length - 1
    while (last >= 0 && (path[last] as number) + 1 >= (counts[last] as number)) last--
    if (last < 0) return
    path[last] = (path[last] as number) + 1
    path.length = last + 1
  }
  // Nothing is lost: what a kill leaves.
  yield [(count) => count - 1, (count) => count - 1]
  for (let cut = most / 2 + 1; cut < most; cut++) yield [chance, chance]
}
