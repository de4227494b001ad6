/**
 * Runs password checks in separate threads. On Node, scrypt and WebCrypto share a pool of four threads with file calls, and Bun has
 * a similar pool. There mail would wait for passwords.
 *
 * Threads start when they are needed, also after one has ended. Idle threads do not keep the process alive.
 */
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { CheckerMessage, CheckerStart } from './checker.ts'
import { checkPasswordInPool, type PasswordCheck } from '../accounts/password.ts'

/** Runs checks, a few at a time. */
export interface CheckRunner {
  /** How many checks may run at the same time. The caller must not exceed it. */
  readonly maxAtOnce: number
  /** Returns whether the password is right. @throws if it could not be checked */
  run(check: PasswordCheck): Promise<boolean>
  /** Ends idle threads, and each other thread after its check. */
  close(): void
}

/** The permissions of this process. Only Deno restricts them. */
export interface CheckRights {
  /** May read {@link THREAD_FILES}, which a thread needs to start. Default true. */
  readonly mayMakeThreads?: boolean
  /** May lower the priority of a thread. Default true. */
  readonly maySetPriority?: boolean
}

/** The directory that a thread reads its program from. A module that Deno loads from a URL has no `dirname`. */
export const THREAD_FILES: string = dirname(import.meta.dirname ?? '')
/** The program of a thread: TypeScript in the workspace, JavaScript in the published package. */
const CHECKER = new URL(import.meta.url.endsWith('.ts') ? './checker.ts' : './checker.js', import.meta.url)
const MAX_THREADS = 4

/** Makes the runner for this machine. If there are several cores, it leaves one to mail. */
export function openCheckRunner({ mayMakeThreads = true, maySetPriority = true }: CheckRights = {}): CheckRunner {
  const maxAtOnce = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1))
  // Deno's pool has 32 threads, so a few checks delay no file call.
  if (!mayMakeThreads) return { maxAtOnce, run: checkPasswordInPool, close() {} }
  return new CheckThreads(maxAtOnce, maySetPriority)
}

/** Runs each check in a thread that does nothing else at that time. */
export class CheckThreads implements CheckRunner {
  readonly maxAtOnce: number
  readonly #start: CheckerStart
  readonly #idle: CheckThread[] = []
  #isClosed = false

  constructor(maxAtOnce: number, maySetPriority: boolean = true) {
    this.maxAtOnce = maxAtOnce
    this.#start = { maySetPriority }
  }

  async run(check: PasswordCheck): Promise<boolean> {
    let thread = this.#idle.pop()
    while (thread?.hasEnded === true) thread = this.#idle.pop()
    thread ??= new CheckThread(this.#start)
    try {
      return await thread.run(check)
    } finally {
      if (this.#isClosed) thread.end()
      else if (!thread.hasEnded) this.#idle.push(thread)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const thread of this.#idle.splice(0)) thread.end()
  }
}

class CheckThread {
  readonly #worker: Worker
  #question: PromiseWithResolvers<CheckerMessage> = Promise.withResolvers()
  readonly #ready: Promise<unknown> = this.#question.promise
  #hasEnded = false

  constructor(start: CheckerStart) {
    let error: unknown
    this.#worker = new Worker(CHECKER, { workerData: start })
    this.#worker.on('error', (caught) => (error = caught))
    this.#worker.on('message', (message: CheckerMessage) => this.#question.resolve(message))
    this.#worker.on('exit', (exitCode) => {
      this.#hasEnded = true
      this.#question.reject(new Error(`a thread that checks passwords ended with ${exitCode}`, { cause: error }))
    })
    // `run` waits for it and reports the error.
    this.#ready.catch(() => {})
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  async run(check: PasswordCheck): Promise<boolean> {
    this.#worker.ref()
    try {
      // Deno loses a message that is sent before the thread is ready.
      await this.#ready
      if (this.#hasEnded) throw new Error('a thread that checks passwords ended')
      this.#question = Promise.withResolvers()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      this.#worker.postMessage(check)
      const message = await this.#question.promise
      if (typeof message === 'object' && 'isRight' in message) return message.isRight
      throw new Error(`a password could not be checked: ${message === 'ready' ? message : message.error}`)
    } finally {
      this.#worker.unref()
    }
  }

  /** Ends the thread now, without waiting for a check in progress. */
  end(): void {
    void this.#worker.terminate()
  }
}
