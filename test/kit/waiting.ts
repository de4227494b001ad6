/** Waits, each with a limit. Programs inside each runtime use this too, so it needs no test runner and no certain runtime. */

/** Longer than any wait on a busy machine. An event that has not come by then never comes. */
const WAIT_MS = 60_000
const LOOK_MS = 5

/** The error of a wait that has reached its limit. */
export class TooLate extends Error {}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Waits for a promise. @param what Names it. @throws TooLate if it stays pending */
export async function within<T>(promise: Promise<T>, what: string, ms: number = WAIT_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate(`${what} stayed pending for ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until a condition is true. @param what Names it. @throws TooLate if it does not become true */
export async function eventually(
  isDone: () => boolean | Promise<boolean>,
  what: string,
  ms: number = WAIT_MS,
): Promise<void> {
  const deadline = Date.now() + ms
  while (!(await isDone())) {
    if (Date.now() > deadline) throw new TooLate(`not within ${ms} ms: ${what}`)
    await sleep(LOOK_MS)
  }
}
