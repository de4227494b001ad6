/**
 * Where password checks run: in threads of their own. On Node, scrypt and WebCrypto use the pool of four threads that file calls
 * use as well, and on Bun a pool of the same kind, so that mail would wait for passwords there.
 *
 * Threads are made when they are needed, and made again after one ended. Idle ones do not keep the process alive.
 */
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { isAllowed } from '../host/permission.ts'
import type { CheckerMessage } from './checker.ts'
import { checkPasswordInPool, type PasswordCheck } from './password.ts'

/** Runs checks, a few at a time. */
export interface CheckRunner {
  /** How many it runs at a time; its caller sees to that. */
  readonly maxAtOnce: number
  /** Returns whether the password is right. @throws where it could not be checked */
  run(check: PasswordCheck): Promise<boolean>
  /** Starts nothing any more, and ends what is idle. */
  close(): void
}

const MAX_THREADS = 4

/** Makes what runs checks here. One core is left to mail where there are several. */
export function openCheckRunner(): CheckRunner {
  const maxAtOnce = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1))
  // Deno alone may not allow a thread to read its file. Its own pool has 32 threads, so that a few checks hold no file call up.
  if (!isAllowed({ name: 'read', path: dirname(import.meta.dirname) })) {
    return { maxAtOnce, run: checkPasswordInPool, close() {} }
  }
  return new CheckThreads(maxAtOnce)
}

/** Runs each check in a thread that does nothing else meanwhile. */
export class CheckThreads implements CheckRunner {
  readonly maxAtOnce: number
  readonly #idle: CheckThread[] = []
  #isClosed = false

  constructor(maxAtOnce: number) {
    this.maxAtOnce = maxAtOnce
  }

  async run(check: PasswordCheck): Promise<boolean> {
    let thread = this.#idle.pop()
    while (thread?.hasEnded === true) thread = this.#idle.pop()
    thread ??= new CheckThread()
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
  readonly #worker = new Worker(new URL('./checker.ts', import.meta.url))
  #question: PromiseWithResolvers<CheckerMessage> = Promise.withResolvers()
  readonly #ready: Promise<unknown> = this.#question.promise
  #hasEnded = false

  constructor() {
    let error: unknown
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
