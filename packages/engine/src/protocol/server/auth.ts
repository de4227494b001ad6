/** AUTH as the protocol sees it (RFC 4954 4): a mechanism's name, and responses in base64. What they mean is the driver's to say. */
import { upperCase } from '../bytes/ascii.ts'
import { decodeBase64 } from '../bytes/base64.ts'
import type { OfferedMechanism } from '../extensions/auth.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { EventOf } from './event.ts'

const EMPTY = new Uint8Array(0)

/** Which mechanisms are on offer. */
export interface AuthRules {
  readonly mechanisms: ReadonlyMap<string, OfferedMechanism>
  /** Also let mechanisms show the password where anyone can listen. */
  readonly allowAuthWithoutTls: boolean
}

/** Reads what stands behind AUTH: a mechanism, and maybe an initial response. */
export function readAuth(argument: string, rules: AuthRules, isSecure: boolean): EventOf<'auth'> | Reply {
  const [name = '', initial, ...rest] = argument.split(' ')
  if (name === '' || rest.length > 0) return replies.SYNTAX
  const mechanism = rules.mechanisms.get(upperCase(name))
  if (mechanism === undefined) return replies.UNKNOWN_MECHANISM
  if (mechanism.showsPassword && !isSecure && !rules.allowAuthWithoutTls) return replies.MECHANISM_NEEDS_TLS
  if (initial === undefined) return { type: 'auth', mechanism: mechanism.name, response: undefined }
  // An empty initial response is written so, as nothing at all would be none (RFC 4954 4).
  const response = initial === '=' ? EMPTY : decodeBase64(initial)
  return response === undefined ? replies.BAD_RESPONSE : { type: 'auth', mechanism: mechanism.name, response }
}

/** Reads the client's answer to a challenge. */
export function readResponse(line: string): EventOf<'auth-response'> | Reply {
  if (line === '*') return replies.AUTH_CANCELLED
  const response = decodeBase64(line)
  return response === undefined ? replies.BAD_RESPONSE : { type: 'auth-response', response }
}

/** AUTH's argument as a log may show it. */
export function redacted(argument: string, { mechanisms }: AuthRules): string {
  const [mechanism = '', ...rest] = argument.split(' ')
  if (!mechanisms.has(upperCase(mechanism))) return '(credentials)'
  return rest.length === 0 ? mechanism : `${mechanism} (credentials)`
}
