/** Keeps secrets out of the log. It finds the secrets of this process by their value, and others by their form. */
import type { Options } from '../../config/options.ts'
import { variable } from '../../host/permission.ts'

/** The options that hold secrets in plain text. `users` holds hashes, which {@link hideForms} finds by their form. */
export type SecretOptions = Pick<Options, 'frontSecret' | 'oauth' | 'rules' | 'tlsPassphrase' | 'sni' | 's3Credentials'>

/** Replaces a secret. */
export const HIDDEN = '(credentials)'

const SECRET_VARIABLES = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'NATS_PASSWORD', 'NATS_TOKEN'] as const
/** A shorter value would be found inside ordinary words. OpenSSL accepts no shorter passphrase. */
const MIN_LENGTH = 4

/** The secrets that this process was given. */
export class Secrets {
  /** The length of the longest secret in any spelling. */
  readonly maxLength: number
  readonly #values: readonly string[]

  constructor(options: Partial<SecretOptions>) {
    const values = new Set(valuesOf(options).flatMap(spellings))
    // The longest comes first, because a secret may be part of another one.
    this.#values = [...values].toSorted((one, other) => other.length - one.length)
    this.maxLength = this.#values[0]?.length ?? 0
  }

  /** Hides all secrets. It searches for plain text, so the time is linear in the text. */
  hide(text: string): string {
    let hidden = text
    for (const value of this.#values) {
      if (hidden.includes(value)) hidden = hidden.replaceAll(value, HIDDEN)
    }
    return hidden
  }
}

function valuesOf({
  frontSecret = [],
  oauth,
  rules,
  tlsPassphrase,
  sni = {},
  s3Credentials,
}: Partial<SecretOptions>): string[] {
  const passphrases = Object.values(sni).map((host) => host.tlsPassphrase)
  // A function may return other credentials each time, so they are not known here.
  const s3 = typeof s3Credentials === 'object' ? [s3Credentials.secretAccessKey, s3Credentials.sessionToken] : []
  const values = [
    ...frontSecret,
    oauth?.introspection?.clientSecret,
    ...(rules?.webhooks ?? []).map(({ secret }) => secret),
    tlsPassphrase,
    ...passphrases,
    ...s3,
    ...SECRET_VARIABLES.map(variable),
  ]
  return values.filter((value) => value !== undefined && value.length >= MIN_LENGTH) as string[]
}

/** Returns the spellings of a value: unchanged, in a URL, and in JSON. */
function spellings(value: string): string[] {
  return [value, encodeURIComponent(value.toWellFormed()), JSON.stringify(value).slice(1, -1)]
}

/**
 * Hides everything that looks like a secret in the text of an error, which may quote a setting or a file: the user and password of
 * a URL, a password hash, the secret of a webhook, a private key. It reads each character a bounded number of times.
 */
export function hideForms(text: string): string {
  return hideKeys(hideHashes(hideUserInfo(text)))
}

const AUTHORITY_ENDS = '/?#\\"\'`<> \t\r\n'

/** Hides the text between `//` and `@` (RFC 3986 3.2.1). */
function hideUserInfo(text: string): string {
  let hidden = ''
  let from = 0
  for (;;) {
    const start = text.indexOf('//', from) + 2
    if (start < 2) return hidden + text.slice(from)
    let at = -1
    let end = start
    while (end < text.length && !AUTHORITY_ENDS.includes(text.charAt(end))) {
      if (text.charAt(end) === '@') at = end
      end++
    }
    hidden += text.slice(from, start) + (at > start ? HIDDEN + text.slice(at, end) : text.slice(start, end))
    from = end
  }
}

/** `whsec_` is the secret of a webhook. */
const HASH_BEGINS = ['$scrypt$', 'SCRAM-SHA-256$', '$2a$', '$2b$', '$2y$', 'whsec_'] as const
/** A character of a hash in PHC form. */
const HASH_CHARACTER = /[\w=,:$+/.-]/

function hideHashes(text: string): string {
  return HASH_BEGINS.reduce(hideBehind, text)
}

function hideBehind(text: string, begins: string): string {
  let hidden = ''
  let from = 0
  for (;;) {
    const start = text.indexOf(begins, from)
    if (start < 0) return hidden + text.slice(from)
    let end = start + begins.length
    while (end < text.length && HASH_CHARACTER.test(text.charAt(end))) end++
    hidden += text.slice(from, start) + HIDDEN
    from = end
  }
}

const KEY_BEGINS = '-----BEGIN '
const KEY_KIND = 'PRIVATE KEY-----'
const KEY_ENDS = '-----END '
/** The label may have `ENCRYPTED `, `RSA ` and the like before `PRIVATE KEY`. */
const MAX_LABEL_LENGTH = 64

/** Hides private keys (RFC 7468). If a key has no end in this text, everything after its begin is hidden. */
function hideKeys(text: string): string {
  let hidden = ''
  let from = 0
  for (;;) {
    const start = text.indexOf(KEY_BEGINS, from)
    if (start < 0) return hidden + text.slice(from)
    const inside = start + KEY_BEGINS.length
    const label = text.slice(inside, inside + MAX_LABEL_LENGTH)
    const kind = label.indexOf(KEY_KIND)
    if (kind < 0) {
      hidden += text.slice(from, inside)
      from = inside
      continue
    }
    hidden += text.slice(from, start) + HIDDEN
    const last = text.indexOf(KEY_ENDS, inside)
    if (last < 0) return hidden
    const rest = text.slice(last, last + KEY_ENDS.length + MAX_LABEL_LENGTH)
    const ended = rest.indexOf(KEY_KIND)
    from = last + (ended < 0 ? KEY_ENDS.length : ended + KEY_KIND.length)
  }
}
