/**
 * `--user`: the server starts as root, listens on ports for root, and then becomes another user for good.
 *
 * Root's rights are used to read the config file and the certificates, and to listen. Everything that the server keeps
 * is opened with the rights of the user, so that the user owns it.
 */
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import type { Acceptor } from '@postern/runtime/node'
import type { Settings } from '../config/settings.ts'
import { errorCode, Failure } from '../host/failure.ts'
import { runtimeName } from '../host/runtime.ts'

const ROOT = 0

/** Functions of Node and Bun for users and groups. Windows has none of them. */
interface Rights {
  getuid(): number
  geteuid(): number
  getgid(): number
  getegid(): number
  getgroups(): number[]
  initgroups(user: Id, group: Id): void
  setgroups(groups: readonly Id[]): void
  setuid(user: Id): void
  seteuid(user: Id): void
  setgid(group: Id): void
  setegid(group: Id): void
}

/** A user or a group: its number or its name. */
type Id = number | string

/** The user that the server becomes. */
export class NewUser {
  readonly #rights: Rights
  readonly #user: Id
  readonly #group: Id
  /** The option as the user wrote it, for messages. */
  readonly #place: string
  readonly #changed = Promise.withResolvers<void>()

  private constructor(rights: Rights, user: Id, group: Id, place: string) {
    this.#rights = rights
    this.#user = user
    this.#group = group
    this.#place = place
  }

  /** Returns the user that the settings name, if they name one. @throws Failure if this process can't become that user */
  static of({ options, spelled }: Settings): NewUser | undefined {
    const { user, group } = options
    if (user === undefined) return undefined
    const place = `${spelled('user')} ${user}`
    if (runtimeName === 'deno') throw new Failure(`${place}: Deno can't change its user; start the server as that user`)
    const rights = process as unknown as Rights
    if (process.getuid?.() !== ROOT) {
      throw new Failure(
        `${place}: only root can become another user; start the server as root, or leave the option out`,
      )
    }
    const made = new NewUser(rights, idOf(user), group === undefined ? groupOf(user, place) : idOf(group), place)
    made.#check(group === undefined ? undefined : `${spelled('group')} ${group}`)
    return made
  }

  /** Does something with the rights of the user. Files that are made meanwhile belong to the user. */
  async as<Result>(work: () => Promise<Result>): Promise<Result> {
    const groups = this.#rights.getgroups()
    this.#takeGroups()
    this.#rights.setegid(this.#group)
    this.#rights.seteuid(this.#user)
    try {
      return await work()
    } finally {
      this.#rights.seteuid(ROOT)
      this.#rights.setegid(ROOT)
      this.#rights.setgroups(groups)
    }
  }

  /** Makes connections wait until the server has become the user. */
  holdBack(server: Acceptor): Acceptor {
    return {
      ...(server.reserve !== undefined && { reserve: server.reserve.bind(server) }),
      accept: async (duplex, overrides, place) => {
        await this.#changed.promise
        await server.accept(duplex, overrides, place)
      },
    }
  }

  /** Becomes the user for good. @throws Failure if the process could become root again */
  become(): void {
    this.#takeGroups()
    this.#rights.setgid(this.#group)
    this.#rights.setuid(this.#user)
    const rights = this.#rights
    const ids = [rights.getuid(), rights.geteuid(), rights.getgid(), rights.getegid(), ...rights.getgroups()]
    if (ids.includes(ROOT) || this.#canBeRoot()) {
      throw new Failure(`${this.#place}: the process still has rights of root; it does not go on`)
    }
    this.#changed.resolve()
  }

  /** Becomes the user and root again, because only the system knows the names. @throws Failure */
  #check(groupPlace: string | undefined): void {
    const groups = this.#rights.getgroups()
    try {
      this.#rights.setegid(this.#group)
    } catch (cause) {
      throw unknown(groupPlace ?? this.#place, 'group', cause)
    }
    try {
      this.#takeGroups()
      this.#rights.seteuid(this.#user)
    } catch (cause) {
      throw unknown(this.#place, 'user', cause)
    }
    const ids = [this.#rights.geteuid(), this.#rights.getegid(), ...this.#rights.getgroups()]
    this.#rights.seteuid(ROOT)
    this.#rights.setegid(ROOT)
    this.#rights.setgroups(groups)
    if (ids.includes(ROOT)) throw new Failure(`${this.#place}: it has rights of root; name another user and group`)
  }

  /** Leaves the groups of root, for those of the user. */
  #takeGroups(): void {
    if (typeof this.#user === 'number') this.#rights.setgroups([this.#group])
    else this.#rights.initgroups(this.#user, this.#group)
  }

  #canBeRoot(): boolean {
    for (const attempt of [() => this.#rights.setuid(ROOT), () => this.#rights.setgid(ROOT)]) {
      try {
        attempt()
        return true
      } catch {
        // This is what must happen.
      }
    }
    return false
  }
}

function idOf(text: string): Id {
  return /^\d+$/.test(text) ? Number(text) : text
}

/** Asks the system for the user's own group. The runtimes can't. @throws Failure */
function groupOf(user: string, place: string): number {
  try {
    return Number(execFileSync('id', ['-g', user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch (cause) {
    throw new Failure(`${place}: the system knows no such user and its group; a number needs --group too`, undefined, {
      cause,
    })
  }
}

function unknown(place: string, what: string, cause: unknown): Failure {
  const why = errorCode(cause) === 'EPERM' ? 'the system does not allow it' : `there is no such ${what}`
  return new Failure(`${place}: ${why}`, undefined, { cause })
}
