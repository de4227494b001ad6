/** A timer of Node cannot run longer; it would run out at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** @throws RangeError for one that is not a time a timer can run. */
export function checkDurations(durations: Readonly<Record<string, number>>): void {
  for (const [name, ms] of Object.entries(durations)) {
    if (!(ms > 0 && ms <= MAX_TIMER_MS)) throw new RangeError(`${name}: ${ms} is not from 1 to ${MAX_TIMER_MS}`)
  }
}
