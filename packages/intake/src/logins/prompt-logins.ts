/**
 * Logins that are tried or refused at once. For a runtime where one session may not wait for another one, as workerd: there the
 * sessions of an isolate are requests of their own.
 */
import type { PasswordCheck } from '../directory/record.ts'
import type { Attempt, Login, LoginRefusal, Logins } from '../login-answer.ts'
import { Penalties } from './penalties.ts'

export interface PromptLoginsOptions {
  /** Returns whether the password is right. */
  check(check: PasswordCheck): Promise<boolean>
  /** Over this many checks at the same time, a login is refused as 'busy'. */
  readonly maxAtOnce: number
  readonly penalties?: Penalties
}

export class PromptLogins implements Logins {
  readonly #check: PromptLoginsOptions['check']
  readonly #maxAtOnce: number
  readonly #penalties: Penalties
  #running = 0

  constructor({ check, maxAtOnce, penalties = new Penalties() }: PromptLoginsOptions) {
    this.#check = check
    this.#maxAtOnce = maxAtOnce
    this.#penalties = penalties
  }

  async begin(login: Login): Promise<Attempt | LoginRefusal> {
    const keys = this.#penalties.keysOf(login)
    if (this.#penalties.standing(keys, Date.now()).readyAtMs > Date.now()) return 'delayed'
    return {
      check: async (asked) => {
        if (this.#running >= this.#maxAtOnce) return 'busy'
        this.#running++
        try {
          return await this.#check(asked)
        } finally {
          this.#running--
        }
      },
      end: (isRight) => {
        if (isRight === true) this.#penalties.succeeded(keys, Date.now())
        else if (isRight === false) this.#penalties.failed(keys, Date.now())
      },
    }
  }
}
