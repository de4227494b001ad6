/** Cuts the power at every moment of a scenario, and tries each state that may be left. */
import type { Random } from '../../../test/kit/random.ts'
import { sampler } from '../../../test/kit/sample.ts'
import type { Ages } from './inode.ts'
import { type Choose, PowerCutDisk } from './power-cut-disk.ts'
import { Book, expectFates, finish, type OpenStore, type Scenario } from './scenarios.ts'

/** One in so many moments of a scenario is tried. */
const ONE_IN = 5

/** Leaves only safe data. */
export const SAFE: Choose = () => 0

/** The tested store: how to open it, and how to prepare its disk. */
export interface Subject {
  readonly open?: OpenStore
  /** The age that files seem to have. */
  readonly ages?: Ages
  format?(disk: PowerCutDisk): Promise<void>
}

/** A store on a disk, and the answers it gave. */
interface Prepared {
  readonly disk: PowerCutDisk
  readonly book: Book
}

/** Prepares the store for the scenario. */
async function prepare(scenario: Scenario, subject: Subject = {}): Promise<Prepared> {
  const disk = new PowerCutDisk(subject.ages)
  await subject.format?.(disk)
  const book = new Book(disk, new Map(), subject.open)
  await scenario.prepare(book)
  return { disk, book }
}

/** Runs the scenario on a disk that stops at this call, or to its end if it makes fewer calls. */
async function stopped(
  { run }: Scenario,
  prepared: Prepared,
  stopAt: number,
  subject: Subject = {},
): Promise<Prepared & { readonly isOver: boolean }> {
  // Data that was answered long ago is safe.
  const disk = prepared.disk.cut(SAFE, SAFE)
  const book = new Book(disk, prepared.book.fates, subject.open)
  disk.stopAt = stopAt
  const isOver = await Promise.race([run(book).then(() => true), disk.stopped.then(() => false)])
  return { disk, book, isOver }
}

/** Returns how many calls the scenario makes until its end. */
async function callsOf(scenario: Scenario, prepared: Prepared, subject: Subject): Promise<number> {
  return (await stopped(scenario, prepared, Infinity, subject)).disk.calls
}

/** The states that are tried at each moment. */
export interface Trial extends Subject {
  /** The states that unsafe data may have. Each is one power cut. */
  cuts(): Iterable<[Choose, Choose]>
  /** Checks the disk after a cut. */
  expectAfter(disk: PowerCutDisk, book: Book): Promise<void>
}

/** Cuts the power before the calls of a scenario: before each with THOROUGH=1, otherwise before a sample of them. */
export async function cutAtCalls(scenario: Scenario, trial: Trial): Promise<void> {
  const prepared = await prepare(scenario, trial)
  let moments = 0
  let cuts = 0
  const isChosen = sampler(ONE_IN)
  const calls = await callsOf(scenario, prepared, trial)
  for (let stopAt = 1; ; stopAt++) {
    if (stopAt <= calls && !isChosen()) continue
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt, trial)
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
  const calls = await callsOf(scenario, prepared, trial)
  for (let stopAt = 1; ; stopAt++) {
    if (stopAt <= calls && !isChosen()) continue
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt, trial)
    const restarted = disk.restarted()
    const next = new Book(restarted, book.fates, trial.open)
    await expectFates(next.mail, next.fates)
    await finish(next)
    for (const [choose, chance] of trial.cuts()) await trial.expectAfter(restarted.cut(choose, chance), next)
    if (isOver) break
  }
}

/** The cut that leaves only safe data, and two random ones. */
export function threeCuts(random: Random): [Choose, Choose][] {
  const chance: Choose = (count) => random.below(count)
  return [SAFE, chance, chance].map((choose) => [choose, choose])
}

/**
 * Returns every combination of choices, beginning with the one that leaves only safe data. If there are too many, half are random.
 *
 * @param most Cuts that are tried for one moment
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
  // Also tries a kill, which loses nothing.
  yield [(count) => count - 1, (count) => count - 1]
  for (let cut = most / 2 + 1; cut < most; cut++) yield [chance, chance]
}
