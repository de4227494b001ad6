/** What MAIL and RCPT carry: RFC 5321 4.1.1.2 and 4.1.1.3. Each reader gives what it read, or why it is refused. */
import { beginsWith, upperCase } from './ascii.ts'
import type { Envelope, ForwardPath, Parameters, Path } from './envelope.ts'
import type { ExtensionContext } from './extension.ts'
import type { ExtensionSet } from './extensions/set.ts'
import { NO_PARAMETERS, readParameters } from './parameters.ts'
import { type ParsedPath, parsePath } from './path.ts'
import * as replies from './replies.ts'
import { type Reply, isReply } from './reply.ts'

/** How paths and parameters are read. */
export interface TransactionRules {
  readonly addresses: 'strict' | 'lenient'
  readonly extensions: ExtensionSet
}

/** An envelope that is being filled. */
export type OpenEnvelope = Envelope & { readonly forwardPaths: ForwardPath[] }

/** Reads `FROM:<…> …` into a new envelope. */
export function readMail(argument: string, rules: TransactionRules, context: ExtensionContext): OpenEnvelope | Reply {
  const parsed = readPath(argument, 'FROM:', replies.BAD_REVERSE_PATH, rules)
  if (isReply(parsed)) return parsed
  const { path, end } = parsed
  if (path.domain === '' && path.address !== '') return replies.BAD_REVERSE_PATH
  const reversePath = withParameters(path)
  const envelope: OpenEnvelope = { reversePath, forwardPaths: [], body: '7BIT', smtpUtf8: false }
  const parameters = readParameters(argument.slice(end), rules.extensions.mail, envelope, context)
  if (isReply(parameters)) return parameters
  reversePath.parameters = parameters
  return parsed.international && !envelope.smtpUtf8 ? replies.NEEDS_SMTPUTF8 : envelope
}

/** Reads `TO:<…> …`. `context.envelope` is the one it belongs to. */
export function readRcpt(argument: string, rules: TransactionRules, context: ExtensionContext): ForwardPath | Reply {
  const parsed = readPath(argument, 'TO:', replies.BAD_FORWARD_PATH, rules)
  if (isReply(parsed)) return parsed
  const { path, end } = parsed
  if (path.domain === '' && upperCase(path.address) !== 'POSTMASTER') return replies.BAD_FORWARD_PATH
  const forwardPath = withParameters(path)
  const parameters = readParameters(argument.slice(end), rules.extensions.rcpt, forwardPath, context)
  if (isReply(parameters)) return parameters
  forwardPath.parameters = parameters
  return parsed.international && context.envelope?.smtpUtf8 !== true ? replies.NEEDS_SMTPUTF8 : forwardPath
}

function readPath(argument: string, keyword: string, malformed: Reply, rules: TransactionRules): ParsedPath | Reply {
  if (!beginsWith(argument, keyword)) return replies.SYNTAX
  const path = parsePath(argument, keyword.length, rules.addresses === 'lenient')
  if (path === 'no-brackets') return replies.NO_BRACKETS
  return path ?? malformed
}

/** A path that is to get the parameters behind it. */
function withParameters({ address, localPart, domain, literal }: Path): Path & { parameters: Parameters } {
  const path = { address, localPart, domain, parameters: NO_PARAMETERS }
  return literal === undefined ? path : { ...path, literal }
}
