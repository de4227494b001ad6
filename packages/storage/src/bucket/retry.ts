/**
 * Retries after temporary failures: servers that are too busy, connections that break.
 *
 * It uses exponential backoff with full jitter, so that requests that failed at the same time are not retried at the
 * same time (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). It ends at a deadline and not
 * after a number of attempts, because a client waits for the answer and has its own timeout.
 */
import { acrossCopies } from '@postern/engine'
import { StorageError, type StorageErrorCode } from '../blob/error.ts'

const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5_000

export interface TransientOptions extends ErrorOptions {
  /** The time that the server asked to wait. */
  readonly retryAfterMs?: number | undefined
}

/** A failure after which a retry may succeed. */
export class TransientError extends StorageError {
  static {
    acrossCopies(this, 'TransientError')
  }
  readonly retryAfterMs: number
  constructor(code: StorageErrorCode, message: string, options: TransientOptions = {}) {
    super(code, message, options)
    this.retryAfterMs = options.retryAfterMs ?? 0
  }
}

/** An attempt that took too long, or was stopped. */
class LateError extends TransientError {}

/** How long a request may take. */
export interface Patience {
  /** The time of all attempts together. */
  readonly deadlineMs: number
  /** The time of one attempt. After it, the attempt is stopped and another one begins. */
  readonly attemptMs: number
}

/** One attempt. It must stop when its signal is aborted. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>

/**
 * Makes an attempt, and another after each {@link TransientError}, until the deadline, or until the caller aborts `stop`.
 *
 * @throws StorageError the last failure
 */
export async function persistently<T>(attempt: Attempt<T>, patience: Patience, stop?: AbortSignal): Promise<T> {
  const deadline = performance.now() + patience.deadlineMs
  let failure: unknown
  for (let count = 0; ; count++) {
    const leftMs = deadline - performance.now()
    // The pause may have lasted longer than planned.
    if (failure !== undefined && leftMs <= 0) throw failure
    try {
      return await within(Math.min(patience.attemptMs, leftMs), attempt, stop)
    } catch (error) {
      if (!(error instanceof TransientError) || stop?.aborted === true) throw error
      // If the last attempt had too little time, the failure before it says more.
      if (error instanceof LateError && leftMs < patience.attemptMs) throw failure ?? error
      failure = error
      const delayMs = Math.max(error.retryAfterMs, Math.random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** count))
      if (performance.now() + delayMs >= deadline) throw error
      await pause(delayMs, stop)
    }
  }
}

async function within<T>(limitMs: number, attempt: Attempt<T>, stop: AbortSignal | undefined): Promise<T> {
  // Checked here, because some attempts cannot be stopped.
  if (stop?.aborted === true) throw new LateError('unavailable', 'given up')
  const end = new AbortController()
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const giveUp = (why: string): void => {
    const error = new LateError('unavailable', why)
    reject(error)
    end.abort(error)
  }
  const stopped = (): void => giveUp('given up')
  const timer = setTimeout(() => giveUp(`the bucket gave no answer within ${Math.ceil(limitMs)} ms`), limitMs)
  stop?.addEventListener('abort', stopped)
  try {
    const work = attempt(end.signal)
    // A stopped attempt may still reject, and nobody waits for it.
    work.catch(() => undefined)
    return await Promise.race([work, ended])
  } finally {
    clearTimeout(timer)
    stop?.removeEventListener('abort', stopped)
  }
}

/** The longest wait of {@link settle}. */
const MAX_SETTLE_MS = 2_000

/**
 * Waits after a write without a condition, until other writers that found the key free at the same moment have written
 * too. The last one wins, and after the wait each writer can look if it was the last. Waits twice the time from this
 * writer's look to now.
 *
 * @param lookedAt The time of the look, by `performance.now()`
 */
export function settle(lookedAt: number, stop: AbortSignal): Promise<void> {
  return pause(Math.min(2 * (performance.now() - lookedAt), MAX_SETTLE_MS), stop)
}

/** Resolves after this many milliseconds, or when `stop` is aborted. */
function pause(ms: number, stop: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      stop?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    stop?.addEventListener('abort', done)
  })
}
