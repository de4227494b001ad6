/** Waits, each with a limit. No test runner, no runtime: programs inside each runtime use it too. */

/** Longer than anything takes on a busy machine. What has not come by then never comes. */
const WAIT_MS = 60_000
const LOOK_MS = 5

/** A wait whose limit is over. */
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

/** Waits until something is so. @param what Names it. @throws TooLate if it does not become so */
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
