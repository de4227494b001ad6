/**
 * How much of a long list of cases a run looks at: a part that the run's seed chooses, or with THOROUGH=1 all of it.
 *
 * The seed is new for each run and is printed. SEED=… repeats a run.
 */
import { Random } from './random.ts'

export const isThorough: boolean = process.env['THOROUGH'] === '1'

/** `test/vitest.config.ts` sets it once for all processes of a run. */
const seed = Number(process.env['SEED'] ?? 1)

/** Returns the random numbers of this run, which SEED repeats. @param salt A different number for each use */
export function chance(salt: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) + salt)
}

/** Returns so many of the cases, in their order, or all of them with THOROUGH=1. @param salt A different number for each choice */
export function sample<T>(cases: readonly T[], count: number, salt: number = 0): readonly T[] {
  if (isThorough || count >= cases.length) return cases
  const random = chance(cases.length + salt)
  const chosen = new Set<number>()
  while (chosen.size < count) chosen.add(random.below(cases.length))
  return cases.filter((_, index) => chosen.has(index))
}

/** Returns a function that returns true once in `oneIn` calls, or always with THOROUGH=1. The first call returns true. */
export function sampler(oneIn: number): () => boolean {
  const random = chance(oneIn)
  let isFirst = true
  return () => {
    if (isThorough || isFirst) {
      isFirst = false
      return true
    }
    return random.below(oneIn) === 0
  }
}
