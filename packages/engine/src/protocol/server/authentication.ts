/** AUTH without I/O: RFC 4954 4. One exchange at a time; each step says what comes next, or why it is over. */
import { upperCase } from '../bytes/ascii.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import { type Exchange, type Mechanism, type Step, decodeBase64 } from '../sasl.ts'

export class Authentication {
  readonly #mechanisms: ReadonlyMap<string, Mechanism>
  readonly #allowWithoutTls: boolean
  #exchange: Exchange | undefined

  /** @param allowWithoutTls Also let mechanisms show the password where anyone can listen. */
  constructor(mechanisms: ReadonlyMap<string, Mechanism>, allowWithoutTls: boolean) {
    this.#mechanisms = mechanisms
    this.#allowWithoutTls = allowWithoutTls
  }

  /** What stands behind AUTH: a mechanism, and maybe an initial response. */
  start(argument: string, isSecure: boolean): Step | Reply {
    const [name = '', initial, ...rest] = argument.split(' ')
    if (name === '' || rest.length > 0) return replies.SYNTAX
    const mechanism = this.#mechanisms.get(upperCase(name))
    if (mechanism === undefined) return replies.UNKNOWN_MECHANISM
    if (mechanism.showsPassword && !isSecure && !this.#allowWithoutTls) return replies.MECHANISM_NEEDS_TLS
    this.#exchange = mechanism.start()
    if (initial === undefined) return this.#step(undefined)
    // An empty initial response is written so, as nothing at all would be none (RFC 4954 4).
    return initial === '=' ? this.#step('') : this.#decode(initial)
  }

  /** The client's answer to a challenge. */
  respond(line: string): Step | Reply {
    return line === '*' ? replies.AUTH_CANCELLED : this.#decode(line)
  }

  /** AUTH's argument as a log may show it. */
  redact(argument: string): string {
    const [mechanism = '', ...rest] = argument.split(' ')
    if (!this.#mechanisms.has(upperCase(mechanism))) return '(credentials)'
    return rest.length === 0 ? mechanism : `${mechanism} (credentials)`
  }

  #decode(encoded: string): Step | Reply {
    const response = decodeBase64(encoded)
    return response === undefined ? replies.BAD_RESPONSE : this.#step(response)
  }

  #step(response: string | undefined): Step | Reply {
    return this.#exchange?.step(response) ?? replies.BAD_RESPONSE
  }
}
