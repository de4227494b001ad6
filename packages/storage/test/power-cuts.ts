/** Power cuts at every moment of a scenario, and what may be left by each. */
import type { Random } from '../../../test/kit/random.ts'
import { sampler } from '../../../test/kit/sample.ts'
import type { Ages } from './inode.ts'
import { type Choose, PowerCutDisk } from './power-cut-disk.ts'
import { Book, expectFates, finish, type OpenStore, type Scenario } from './scenarios.ts'

/** Of the moments of a scenario, one in so many is looked at. */
const ONE_IN = 3

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
interface Prepared {
  readonly disk: PowerCutDisk
  readonly book: Book
}

/** What there is before the scenario begins. */
async function prepare(scenario: Scenario, subject: Subject = {}): Promise<Prepared> {
  const disk = new PowerCutDisk(subject.ages)
  await subject.format?.(disk)
  const book = new Book(disk, new Map(), subject.open)
  await scenario.prepare(book)
  return { disk, book }
}

/** The scenario on a disk that stops at this call; or is over, having made fewer. */
async function stopped(
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

/** What is tried at each moment. */
export interface Trial extends Subject {
  /** What may be left of what was not safe: one cut each. */
  cuts(): Iterable<[Choose, Choose]>
  /** Looks at what a cut left. */
  expectAfter(disk: PowerCutDisk, book: Book): Promise<void>
}

/** Cuts the power before calls that a scenario makes: before each with THOROUGH=1, else before a sample of them. */
export async function cutAtCalls(scenario: Scenario, trial: Trial): Promise<void> {
  const prepared = await prepare(scenario, trial)
  let moments = 0
  let cuts = 0
  const isChosen = sampler(ONE_IN)
  for (let stopAt = 1; ; stopAt++) {
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt, trial)
    if (!isOver && !isChosen()) continue
    for (const [choose, chance] of trial.cuts()) {
      await trial.expectAfter(disk.cut(choose, chance), book)
      cuts++
    }
    moments++
    if (isOver) break
  }
  console.info(`${scenario.name}: ${moments} moments, ${cuts} power cuts`)
}

/** Kills the store before the same calls, finishes what it began, and cuts the power then. */
export async function killAtCalls(scenario: Scenario, trial: Trial): Promise<void> {
  const prepared = await prepare(scenario, trial)
  const isChosen = sampler(ONE_IN)
  for (let stopAt = 1; ; stopAt++) {
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt, trial)
    if (!isOver && !isChosen()) continue
    const restarted = disk.restarted()
    const next = new Book(restarted, book.fates, trial.open)
    await expectFates(next.mail, next.fates)
    await finish(next)
    for (const [choose, chance] of trial.cuts()) await trial.expectAfter(restarted.cut(choose, chance), next)
    if (isOver) break
  }
}

/** The cut that leaves nothing but what is safe, and two by chance. */
export function threeCuts(random: Random): [Choose, Choose][] {
  const chance: Choose = (count) => random.below(count)
  return [SAFE, chance, chance].map((choose) => [choose, choose])
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
