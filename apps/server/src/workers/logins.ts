/**
 * Logins of a server with workers. The main thread decides when each login is tried, and runs the checks, for all workers together.
 * A worker sends it requests.
 */
import type { PasswordCheck } from '@postern/intake/accounts'
import type { Attempt, Login, LoginRefusal, Logins } from '@postern/intake/logins'
import { errorText } from '../host/failure.ts'

/** A request of a worker about one of its logins. */
export type LoginRequest =
  /** The answer comes when the login's turn has come. */
  | { readonly type: 'login'; readonly id: number; readonly login: Login }
  /** The answer comes when the password is checked. */
  | { readonly type: 'check'; readonly id: number; readonly check: PasswordCheck }
  /** The session of the login has ended. */
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'end'; readonly id: number; readonly isRight: boolean | undefined }

/** The main thread's answer. To 'login': true or a refusal. To 'check': true if the password is right. */
export interface LoginAnswer {
  readonly type: 'login'
  readonly id: number
  readonly answer: boolean | LoginRefusal | { readonly error: string }
}

export function isLoginRequest(message: { readonly type: string }): message is LoginRequest {
  return message.type === 'login' || message.type === 'check' || message.type === 'abort' || message.type === 'end'
}

/** The logins of one worker. It runs in the worker. */
export class RemoteLogins implements Logins {
  readonly #post: (request: LoginRequest) => void
  readonly #questions = new Map<number, PromiseWithResolvers<boolean | LoginRefusal>>()
  #lastId = 0

  constructor(post: (request: LoginRequest) => void) {
    this.#post = post
  }

  async begin(login: Login, signal: AbortSignal): Promise<Attempt | LoginRefusal> {
    if (signal.aborted) return 'busy'
    const id = ++this.#lastId
    const aborted = (): void => this.#post({ type: 'abort', id })
    signal.addEventListener('abort', aborted)
    const answer = await this.#ask({ type: 'login', id, login })
    const forget = (): void => signal.removeEventListener('abort', aborted)
    if (typeof answer === 'string') {
      forget()
      return answer
    }
    return {
      check: (check) => this.#ask({ type: 'check', id, check }),
      end: (isRight) => {
        forget()
        this.#post({ type: 'end', id, isRight })
      },
    }
  }

  /** Handles an answer of the main thread. */
  receive({ id, answer }: LoginAnswer): void {
    const question = this.#questions.get(id)
    this.#questions.delete(id)
    if (typeof answer === 'object') question?.reject(new Error(answer.error))
    else question?.resolve(answer)
  }

  /** Sends a request and waits for the answer. A login has one request at a time. */
  #ask(request: LoginRequest): Promise<boolean | LoginRefusal> {
    const question = Promise.withResolvers<boolean | LoginRefusal>()
    this.#questions.set(request.id, question)
    this.#post(request)
    return question.promise
  }
}

interface Open {
  readonly controller: AbortController
  attempt?: Attempt
}

/** The logins of one worker. It runs in the main thread. */
export class LoginDesk {
  readonly #logins: Logins
  readonly #post: (answer: LoginAnswer) => void
  readonly #open = new Map<number, Open>()

  constructor(logins: Logins, post: (answer: LoginAnswer) => void) {
    this.#logins = logins
    this.#post = post
  }

  receive(request: LoginRequest): void {
    const { id } = request
    const open = this.#open.get(id)
    switch (request.type) {
      case 'login':
        return void this.#begin(id, request.login)
      case 'check':
        return void this.#check(id, open?.attempt, request.check)
      case 'abort':
        return open?.controller.abort()
      case 'end':
        this.#open.delete(id)
        return open?.attempt?.end(request.isRight)
    }
  }

  /** Gives back all places of the logins of a worker that has ended. */
  close(): void {
    for (const { controller, attempt } of this.#open.values()) {
      controller.abort()
      attempt?.end(undefined)
    }
    this.#open.clear()
  }

  async #begin(id: number, login: Login): Promise<void> {
    const open: Open = { controller: new AbortController() }
    this.#open.set(id, open)
    const attempt = await this.#logins.begin(login, open.controller.signal)
    const isRefused = typeof attempt === 'string'
    if (isRefused) this.#open.delete(id)
    else if (this.#open.has(id)) open.attempt = attempt
    // The worker has ended in the meantime.
    else return attempt.end(undefined)
    this.#answer(id, isRefused ? attempt : true)
  }

  async #check(id: number, attempt: Attempt | undefined, check: PasswordCheck): Promise<void> {
    try {
      this.#answer(id, (await attempt?.check(check)) ?? 'busy')
    } catch (error) {
      this.#answer(id, { error: errorText(error) })
    }
  }

  #answer(id: number, answer: LoginAnswer['answer']): void {
    this.#post({ type: 'login', id, answer })
  }
}
