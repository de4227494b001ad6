/** AUTH in the protocol (RFC 4954 4): a mechanism's name, and responses in base64. The driver knows what they mean. */
import { upperCase } from '../bytes/ascii.ts'
import { decodeBase64 } from '../bytes/base64.ts'
import { isPossible, type OfferedMechanism } from '../extensions/auth.ts'
import type { ConnectionFact } from '../extensions/extension.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { EventOf } from './event.ts'

const EMPTY = new Uint8Array(0)

/** The mechanisms on offer. */
export interface AuthRules {
  readonly mechanisms: ReadonlyMap<string, OfferedMechanism>
  /** Also allow mechanisms that show the password when the connection is in clear. */
  readonly allowAuthWithoutTls: boolean
}

/** The connection, as far as AUTH needs to know it. */
export interface AuthConnection {
  readonly isSecure: boolean
  readonly facts: readonly ConnectionFact[]
}

/** Parses the argument of AUTH: a mechanism, and optionally an initial response. */
export function readAuth(
  argument: string,
  rules: AuthRules,
  { isSecure, facts }: AuthConnection,
): EventOf<'auth'> | Reply {
  const [name = '', initial, ...rest] = argument.split(' ')
  if (name === '' || rest.length > 0) return replies.SYNTAX
  const mechanism = rules.mechanisms.get(upperCase(name))
  if (mechanism === undefined || !isPossible(mechanism, facts)) return replies.UNKNOWN_MECHANISM
  if (mechanism.showsPassword && !isSecure && !rules.allowAuthWithoutTls) return replies.MECHANISM_NEEDS_TLS
  if (initial === undefined) return { type: 'auth', mechanism: mechanism.name, response: undefined }
  // '=' is an empty initial response, because no text at all means no initial response (RFC 4954 4).
  const response = initial === '=' ? EMPTY : decodeBase64(initial)
  return response === undefined ? replies.BAD_RESPONSE : { type: 'auth', mechanism: mechanism.name, response }
}

/** Parses the client's response to a challenge. */
export function readResponse(line: string): EventOf<'auth-response'> | Reply {
  if (line === '*') return replies.AUTH_CANCELLED
  const response = decodeBase64(line)
  return response === undefined ? replies.BAD_RESPONSE : { type: 'auth-response', response }
}

/** Returns the argument of AUTH as a log may show it. */
export function redacted(argument: string, { mechanisms }: AuthRules): string {
  const [mechanism = '', ...rest] = argument.split(' ')
  if (!mechanisms.has(upperCase(mechanism))) return '(credentials)'
  return rest.length === 0 ? mechanism : `${mechanism} (credentials)`
}
