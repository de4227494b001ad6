/**
 * Where password checks run: in threads of their own. On Node, scrypt and WebCrypto use the pool of four threads that file calls
 * use as well, and on Bun a pool of the same kind, so that mail would wait for passwords there.
 *
 * Threads are made when they are needed, and made again after one ended. Idle ones do not keep the process alive.
 */
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { CheckerMessage, CheckerStart } from './checker.ts'
import { checkPasswordInPool, type PasswordCheck } from '../accounts/password.ts'

/** Runs checks, a few at a time. */
export interface CheckRunner {
  /** How many it runs at a time; its caller sees to that. */
  readonly maxAtOnce: number
  /** Returns whether the password is right. @throws where it could not be checked */
  run(check: PasswordCheck): Promise<boolean>
  /** Starts nothing any more, and ends what is idle. */
  close(): void
}

/** What this process may do. Deno alone keeps a program to what it was allowed. */
export interface CheckRights {
  /** May read {@link THREAD_FILES}, which a thread begins with. Default true. */
  readonly mayMakeThreads?: boolean
  /** May lower the priority of a thread. Default true. */
  readonly maySetPriority?: boolean
}

/** The directory that a thread reads its program from. */
export const THREAD_FILES: string = dirname(import.meta.dirname)
/** The program of a thread: a source in the workspace, and built in what is published. */
const CHECKER = new URL(import.meta.url.endsWith('.ts') ? './checker.ts' : './checker.js', import.meta.url)
const MAX_THREADS = 4

/** Makes what runs checks here. One core is left to mail where there are several. */
export function openCheckRunner({ mayMakeThreads = true, maySetPriority = true }: CheckRights = {}): CheckRunner {
  const maxAtOnce = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1))
  // The pool of Deno has 32 threads, so that a few checks hold no file call up.
  if (!mayMakeThreads) return { maxAtOnce, run: checkPasswordInPool, close() {} }
  return new CheckThreads(maxAtOnce, maySetPriority)
}

/** Runs each check in a thread that does nothing else meanwhile. */
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
    // Whoever runs a check waits for it.
    this.#ready.catch(() => {})
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  async run(check: PasswordCheck): Promise<boolean> {
    this.#worker.ref()
    try {
      // Before that, Deno would lose the check.
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

  /** Ends it now; a check in progress is not waited for. */
  end(): void {
    void this.#worker.terminate()
  }
}
