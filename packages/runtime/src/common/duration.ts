/** The longest time of a timer on Node. A longer timer would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Checks that a timer can run for each of these times. @throws RangeError */
export function checkDurations(durations: Readonly<Record<string, number>>): void {
  for (const [name, ms] of Object.entries(durations)) {
    if (!(ms > 0 && ms <= MAX_TIMER_MS)) throw new RangeError(`${name}: ${ms} is not from 1 to ${MAX_TIMER_MS}`)
  }
}
