/**
 * SASL mechanisms without I/O: RFC 4422 and 4954, PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login).
 *
 * An exchange is fed what the client answered and says what comes next: a challenge, the credentials, or that it makes no
 * sense. Whether credentials are right is not decided here.
 */

/** What a client showed to prove who it is. */
export interface Credentials {
  readonly mechanism: MechanismName
  /** Whose password this is (authcid). */
  readonly username: string
  readonly password: string
  /** Who the client wants to act as (authzid); '' for the same as `username`. */
  readonly authorizationId: string
}

export type MechanismName = 'PLAIN' | 'LOGIN'

export interface Mechanism {
  readonly name: MechanismName
  /** Whoever can listen reads the password. */
  readonly showsPassword: boolean
  start(): Exchange
}

/** One run of a mechanism. */
export interface Exchange {
  /** The client's next response; undefined where it sent no initial one. */
  step(response: string | undefined): Step | undefined
}

/** What comes next in an exchange. Where what the client sent makes no sense, nothing does. */
export type Step = { readonly challenge: string } | { readonly credentials: Credentials }

const plain: Mechanism = {
  name: 'PLAIN',
  showsPassword: true,
  start: () => ({
    step(response) {
      if (response === undefined) return { challenge: '' }
      const [authorizationId, username, password, ...rest] = response.split('\0')
      if (authorizationId === undefined || password === undefined || rest.length > 0) return undefined
      if (username === undefined || username === '' || password === '') return undefined
      return { credentials: { mechanism: 'PLAIN', username, password, authorizationId } }
    },
  }),
}

const login: Mechanism = {
  name: 'LOGIN',
  showsPassword: true,
  start() {
    let username: string | undefined
    return {
      step(response) {
        if (response === undefined) return { challenge: 'Username:' }
        if (response.includes('\0')) return undefined
        if (username === undefined) {
          username = response
          return { challenge: 'Password:' }
        }
        if (username === '') return undefined
        return { credentials: { mechanism: 'LOGIN', username, password: response, authorizationId: '' } }
      },
    }
  },
}

export const MECHANISMS: Readonly<Record<MechanismName, Mechanism>> = { PLAIN: plain, LOGIN: login }

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undoes base64 (RFC 4648 4) around UTF-8. undefined where it is not exactly that. */
export function decodeBase64(text: string): string | undefined {
  if (!BASE64.test(text)) return undefined
  try {
    return utf8.decode(Uint8Array.from(atob(text), (octet) => octet.charCodeAt(0)))
  } catch {
    return undefined
  }
}

/** Base64 of text in ASCII: all that challenges here are. */
export function encodeBase64(text: string): string {
  return btoa(text)
}
