/**
 * Trying again what may pass: servers that are too busy, connections that break.
 *
 * Exponential backoff with full jitter, so that those who failed together don't come back together
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter). The end is a deadline and not a count: who
 * waits for the answer is a sender with a timeout of its own.
 */
import { StorageError, type StorageErrorCode } from '../blob/error.ts'

const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5_000

export interface TransientOptions extends ErrorOptions {
  /** How long the server asked to be left alone. */
  readonly retryAfterMs?: number | undefined
}

/** A failure that the next attempt may not meet. */
export class TransientError extends StorageError {
  readonly retryAfterMs: number
  constructor(code: StorageErrorCode, message: string, options: TransientOptions = {}) {
    super(code, message, options)
    this.retryAfterMs = options.retryAfterMs ?? 0
  }
}

/** An attempt that was given up. */
class LateError extends TransientError {}

/** How long something may take. */
export interface Patience {
  /** With all its attempts. */
  readonly deadlineMs: number
  /** One attempt; it is given up then, and another made. */
  readonly attemptMs: number
}

/** One attempt. It has to stop when its signal says so. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>

/**
 * Does something, and again after each {@link TransientError}, until the deadline, or until `stop` says that nobody wants it
 * any more.
 *
 * @throws StorageError the last failure
 */
export async function persistently<T>(attempt: Attempt<T>, patience: Patience, stop?: AbortSignal): Promise<T> {
  const deadline = performance.now() + patience.deadlineMs
  let failure: unknown
  for (let count = 0; ; count++) {
    const leftMs = deadline - performance.now()
    // A pause may last longer than it was to.
    if (failure !== undefined && leftMs <= 0) throw failure
    try {
      return await within(Math.min(patience.attemptMs, leftMs), attempt, stop)
    } catch (error) {
      if (!(error instanceof TransientError) || stop?.aborted === true) throw error
      // What went wrong says more than that there was no time left to see it again.
      if (error instanceof LateError && leftMs < patience.attemptMs) throw failure ?? error
      failure = error
      const delayMs = Math.max(error.retryAfterMs, Math.random() * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** count))
      if (performance.now() + delayMs >= deadline) throw error
      await pause(delayMs, stop)
    }
  }
}

async function within<T>(limitMs: number, attempt: Attempt<T>, stop: AbortSignal | undefined): Promise<T> {
  // Not every attempt can be stopped.
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
    // Given up, it may still fail, and nobody listens.
    work.catch(() => undefined)
    return await Promise.race([work, ended])
  } finally {
    clearTimeout(timer)
    stop?.removeEventListener('abort', stopped)
  }
}

/** The longest that {@link settle} waits. */
const MAX_SETTLE_MS = 2_000

/**
 * Waits after a write that the server took no condition on, for whoever found the key free at the same moment to have written
 * too: the last one wins, and then each can see whether it was. Twice as long as it took oneself, from the look to the end.
 *
 * @param lookedAt By `performance.now()`
 */
export function settle(lookedAt: number, stop: AbortSignal): Promise<void> {
  return pause(Math.min(2 * (performance.now() - lookedAt), MAX_SETTLE_MS), stop)
}

/** Resolves after so long, or once it is to stop. */
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
