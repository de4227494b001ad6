/**
 * Parses the arguments of MAIL and RCPT: RFC 5321 4.1.1.2 and 4.1.1.3. Each function returns the result, or the reply that
 * refuses it.
 */
import { beginsWith, upperCase } from '../bytes/ascii.ts'
import type { Envelope, ForwardPath, Parameters, Path } from '../grammar/envelope.ts'
import type { ExtensionContext } from '../extensions/extension.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import { NO_PARAMETERS, type ReadParameters, readParameters } from '../extensions/parameters.ts'
import { type ParsedPath, parsePath } from '../grammar/path.ts'
import * as replies from '../grammar/replies.ts'
import { type Reply, isReply } from '../grammar/reply.ts'

/** How paths and parameters are read. */
export interface TransactionRules {
  readonly addresses: 'strict' | 'lenient'
  readonly extensions: ExtensionSet
}

/** An envelope that is not complete yet. */
export type OpenEnvelope = Envelope & { readonly forwardPaths: ForwardPath[] }

/** Parses `FROM:<…> …` into a new envelope. */
export function readMail(argument: string, rules: TransactionRules, context: ExtensionContext): OpenEnvelope | Reply {
  const parsed = readPath(argument, 'FROM', replies.BAD_REVERSE_PATH, rules)
  if (isReply(parsed)) return parsed
  const { path, end } = parsed
  const lenient = rules.addresses === 'lenient'
  // Some devices send a bare name. No reply could reach it.
  if (path.domain === '' && path.address !== '' && !lenient) return replies.BAD_REVERSE_PATH
  const reversePath = openPath(path)
  const envelope: OpenEnvelope = { reversePath, forwardPaths: [], body: '7BIT', smtpUtf8: false }
  const parameters = readParameters(argument.slice(end), rules.extensions.mail, envelope, context, lenient)
  if (isReply(parameters)) return parameters
  addParameters(reversePath, parameters)
  return parsed.international && !envelope.smtpUtf8 ? replies.NEEDS_SMTPUTF8 : envelope
}

/** Parses `TO:<…> …`. `context.envelope` is the envelope of the transaction. */
export function readRcpt(argument: string, rules: TransactionRules, context: ExtensionContext): ForwardPath | Reply {
  const parsed = readPath(argument, 'TO', replies.BAD_FORWARD_PATH, rules)
  if (isReply(parsed)) return parsed
  const { path, end } = parsed
  if (path.domain === '' && upperCase(path.address) !== 'POSTMASTER') return replies.BAD_FORWARD_PATH
  const forwardPath = openPath(path)
  const lenient = rules.addresses === 'lenient'
  const parameters = readParameters(argument.slice(end), rules.extensions.rcpt, forwardPath, context, lenient)
  if (isReply(parameters)) return parameters
  addParameters(forwardPath, parameters)
  return parsed.international && context.envelope?.smtpUtf8 !== true ? replies.NEEDS_SMTPUTF8 : forwardPath
}

function readPath(argument: string, keyword: string, malformed: Reply, rules: TransactionRules): ParsedPath | Reply {
  const lenient = rules.addresses === 'lenient'
  const start = keywordEnd(argument, keyword, lenient)
  if (start < 0) return replies.SYNTAX
  const path = parsePath(argument, start, lenient)
  if (path === 'no-brackets') return replies.NO_BRACKETS
  return path ?? malformed
}

/** Returns where `FROM:` or `TO:` ends, or -1 if it is missing. If lenient, blanks may stand before the colon. */
function keywordEnd(argument: string, keyword: string, lenient: boolean): number {
  if (!beginsWith(argument, keyword)) return -1
  let end = keyword.length
  if (lenient) while (argument[end] === ' ') end++
  return argument[end] === ':' ? end + 1 : -1
}

/** A path to which its parameters will be added. */
type OpenPath = Path & { parameters: Parameters; malformedParameters?: readonly string[] }

function openPath({ address, localPart, domain, literal }: Path): OpenPath {
  const path = { address, localPart, domain, parameters: NO_PARAMETERS }
  return literal === undefined ? path : { ...path, literal }
}

function addParameters(path: OpenPath, { values, malformed }: ReadParameters): void {
  path.parameters = values
  if (malformed.length > 0) path.malformedParameters = malformed
}
