/** The main thread's view of one worker. */
import { Worker } from 'node:worker_threads'
import type { Logins } from '@postern/intake/logins'
import { Failure } from '../host/failure.ts'
import { isLoginRequest, LoginDesk, type LoginRequest } from './logins.ts'
import type { Added, Answer, Order, WorkerStart } from './messages.ts'

/** The program of a worker: TypeScript in the workspace, JavaScript in the published package. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** How a worker ended. */
export interface Ending {
  readonly exitCode: number
  /** The uncaught error, if there was one. */
  readonly error: unknown
}

/** The worker has ended before it answered. */
export class EndedError extends Error {
  override readonly name = 'EndedError'
}

interface Question {
  resolve(answer: Answer): void
  reject(error: unknown): void
}

export class Member {
  readonly index: number
  /** Resolves when it has ended. */
  readonly ended: Promise<Ending>
  /** Resolves when the worker has loaded everything. @throws Failure */
  readonly ready: Promise<Answer>
  readonly #worker: Worker
  readonly #desk: LoginDesk
  /** In the order in which the orders were sent. */
  readonly #questions: Question[] = []
  #hasEnded = false

  /** @param added Called when the worker has added a message to the queue */
  constructor(start: WorkerStart, logins: Logins, added: () => void) {
    this.index = start.index
    this.#worker = new Worker(WORKER, { workerData: start })
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    this.#desk = new LoginDesk(logins, (answer) => this.#hasEnded || this.#worker.postMessage(answer))
    let error: unknown
    this.#worker.on('error', (caught) => (error = caught))
    this.#worker.on('message', (message: Added | Answer | LoginRequest) => {
      if (message.type === 'added') added()
      else if (isLoginRequest(message)) this.#desk.receive(message)
      else this.#answer(message)
    })
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', (exitCode) => {
        this.#end(exitCode, error)
        resolve({ exitCode, error })
      })
    })
    this.ready = this.#ask()
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Sends an order and waits for the answer. @throws Failure if the worker can't do it; EndedError if it has ended */
  async order(order: Order): Promise<Answer> {
    // Deno loses a message that is sent before the worker is ready.
    await this.ready
    if (this.#hasEnded) throw new EndedError(`worker ${this.index} has ended`)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    this.#worker.postMessage(order)
    return this.#ask()
  }

  /** Ends the worker now. */
  async kill(): Promise<void> {
    if (!this.#hasEnded) await this.#worker.terminate()
  }

  #ask(): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#questions.push({ resolve, reject })
    // The caller may no longer wait for it.
    promise.catch(() => {})
    return promise
  }

  #answer(answer: Answer): void {
    const question = this.#questions.shift()
    if (answer.type === 'failed') question?.reject(new Failure(answer.message, answer.exitCode))
    else question?.resolve(answer)
  }

  #end(exitCode: number, cause: unknown): void {
    this.#hasEnded = true
    this.#desk.close()
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    const error = new EndedError(`worker ${this.index} ended with ${exitCode}${why}`, { cause })
    for (const { reject } of this.#questions.splice(0)) reject(error)
  }
}
