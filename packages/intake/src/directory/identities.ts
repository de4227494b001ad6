/**
 * Who may log in: accounts of a directory, and users of a list. What a client learns of a name that does not exist, and the time
 * that it takes, are the same as for a name that exists.
 */
import type { PeerCertificate, ScramKeys } from '@postern/engine'
import { keyOf, parseAddress } from './address.ts'
import { decoyOf, type PasswordRecord } from './record.ts'
import { randomScram } from './scram.ts'

/** Somebody who may log in. */
export interface Identity {
  /** The name after the login. */
  readonly user: string
  readonly password?: PasswordRecord | undefined
  /** The password in clear, for CRAM-MD5. */
  readonly secret?: string | undefined
}

/** Finds identities: a directory does, and so does a list of users. */
export interface IdentitySource {
  readonly identities: readonly Identity[]
  /** Finds the identity of a name that a client logs in with. */
  identity(username: string): Identity | undefined
  certificateIdentity?(certificate: PeerCertificate): Identity | undefined
  /** Random text. The salts of names that do not exist are made from it, so it should stay the same. */
  readonly secret?: string | undefined
}

/** Which kinds of login somebody has. */
export interface LoginKinds {
  readonly password: boolean
  readonly scram: boolean
  readonly secret: boolean
}

const encoder = new TextEncoder()

export class Identities {
  readonly #sources: readonly IdentitySource[]
  readonly #decoy: PasswordRecord
  readonly #scramDecoy: ReturnType<typeof randomScram>
  #saltKey: ReturnType<typeof crypto.subtle.importKey> | undefined

  /** @param sources Asked in this order */
  constructor(sources: readonly IdentitySource[]) {
    this.#sources = sources
    const passwords = this.#passwords()
    const [first] = passwords
    const scram = passwords.find((record) => record.kind === 'scram')
    this.#scramDecoy = randomScram(scram?.iterations)
    this.#decoy = first === undefined || first.kind === 'scram' ? this.#scramDecoy : decoyOf(first)
  }

  get kinds(): LoginKinds {
    const passwords = this.#passwords()
    return {
      password: passwords.length > 0,
      scram: passwords.some(({ kind }) => kind === 'scram'),
      secret: this.#sources.some(({ identities }) => identities.some(({ secret }) => secret !== undefined)),
    }
  }

  find(username: string): Identity | undefined {
    for (const source of this.#sources) {
      const found = source.identity(username)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Returns the record of a name. For a name without a password, no password fits it, and a check costs as much. */
  passwordOf(username: string): PasswordRecord {
    return this.find(username)?.password ?? this.#decoy
  }

  /** Returns the SCRAM keys of a name. For a name without them, no password fits them, and its salt stays the same. */
  async scramKeys(username: string): Promise<ScramKeys> {
    // It is made for every name, so that all take the same time.
    const salt = await this.#decoySalt(username)
    const found = this.find(username)
    return found?.password?.kind === 'scram' ? { ...found.password, user: found.user } : { ...this.#scramDecoy, salt }
  }

  certificateIdentity(certificate: PeerCertificate): Identity | undefined {
    for (const source of this.#sources) {
      const found = source.certificateIdentity?.(certificate)
      if (found !== undefined) return found
    }
    return undefined
  }

  #passwords(): PasswordRecord[] {
    return this.#sources.flatMap(({ identities }) =>
      identities.flatMap(({ password }) => (password === undefined ? [] : [password])),
    )
  }

  async #decoySalt(username: string): Promise<Uint8Array> {
    const secret = this.#sources.find((source) => source.secret !== undefined)?.secret
    const raw = secret === undefined ? this.#scramDecoy.storedKey : encoder.encode(secret)
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    this.#saltKey ??= crypto.subtle.importKey('raw', new Uint8Array(raw), algorithm, false, ['sign'])
    const parsed = parseAddress(username)
    // Two spellings of one address have one salt, as those of an account do.
    const name = parsed === undefined ? username : keyOf(parsed.localPart, parsed.domain)
    const signed = await crypto.subtle.sign('HMAC', await this.#saltKey, encoder.encode(name))
    return new Uint8Array(signed).slice(0, this.#scramDecoy.salt.length)
  }
}
