/**
 * One entry for each verb: when it may come, how its argument is parsed, and what its answer changes. The verb's row in
 * `state.ts` has its next states. The driver's `commands.ts` has what the driver does for it.
 */
import type { VerbEffect, VerbRules } from '../extensions/extension.ts'
import { argumentRefusal, helloRefusal, parseChunk, parseQuery } from '../grammar/command.ts'
import * as replies from '../grammar/replies.ts'
import { type Reply, isReply } from '../grammar/reply.ts'
import { readAuth } from './auth.ts'
import type { ReadVerb, Settle, VerbEntry, VerbSession } from './entry.ts'
import type { CommandEvent, EventOf, Hello, ServerEvent } from './event.ts'
import { isPastDrain } from './message-reader.ts'
import { AFTER_AUTH, type Move, type Verb } from './state.ts'
import { readMail, readRcpt } from './transaction.ts'

const END_OF_AUTH: Move = { accepted: AFTER_AUTH, refused: AFTER_AUTH }
const MESSAGE: ServerEvent = { type: 'message' }

/** In the order of the reply to HELP. */
export const VERBS: Readonly<Record<Verb, VerbEntry>> = {
  HELO: { syntax: 'domain', isBeforeAuth: true, refusal: ({ isLmtp }) => unknownIf(isLmtp), read: readHello },
  EHLO: {
    syntax: 'domain or [address]',
    isBeforeTls: true,
    isBeforeAuth: true,
    refusal: ({ isLmtp }) => unknownIf(isLmtp),
    read: readHello,
  },
  LHLO: {
    syntax: 'domain or [address]',
    isBeforeTls: true,
    isBeforeAuth: true,
    refusal: ({ isLmtp }) => unknownIf(!isLmtp),
    read: readHello,
  },
  MAIL: {
    syntax: 'FROM:<reverse-path>',
    read(session, argument, move) {
      const tooMany = session.budgets.transactionRefusal()
      if (tooMany !== undefined) return session.tell(tooMany)
      const envelope = readMail(argument, session.rules, session)
      if (isReply(envelope)) return session.refuse(envelope)
      const noRoom = session.budgets.hold(session.lineOctets)
      if (noRoom !== undefined) return session.tell(session.budgets.ofIdle(noRoom))
      session.envelope = envelope
      return session.ask({ type: 'mail', reversePath: envelope.reversePath }, move, settleMail)
    },
  },
  RCPT: {
    syntax: 'TO:<forward-path>',
    read(session, argument, move) {
      const { budgets, envelope, limits } = session
      const forwardPath = readRcpt(argument, session.rules, session)
      if (isReply(forwardPath)) {
        // A recipient refused here counts the same as one that the driver refuses.
        session.setState(move.refused)
        return session.refuse(forwardPath)
      }
      const isFull = (envelope?.forwardPaths.length ?? 0) >= limits.maxRecipients
      const tooMany = isFull ? replies.TOO_MANY_RECIPIENTS : budgets.domainRefusal(forwardPath.domain)
      const noRoom = tooMany ?? budgets.hold(session.lineOctets)
      if (noRoom === undefined) return session.ask({ type: 'rcpt', forwardPath }, move, settleRcpt)
      session.setState(move.refused)
      // A full envelope is no error: the client is to send the rest in another transaction (RFC 5321 4.5.3.1.10).
      return session.tell(budgets.ofRecipient(noRoom))
    },
  },
  DATA: {
    takesNoArgument: true,
    read(session, argument, move) {
      const refusal = argumentRefusal(argument, true)
      if (refusal !== undefined) return session.refuse(refusal)
      if (session.envelope?.body === 'BINARYMIME') return session.refuse(replies.BINARY_NEEDS_BDAT)
      session.beginText()
      return session.ask(MESSAGE, move, settleMessage)
    },
  },
  RSET: { isBeforeAuth: true, takesNoArgument: true, read: readPlain(settleReset) },
  NOOP: { syntax: '[text]', isBeforeTls: true, isBeforeAuth: true, read: readPlain() },
  QUIT: { isBeforeTls: true, isBeforeAuth: true, takesNoArgument: true, leadsOn: true, read: readPlain() },
  VRFY: { syntax: 'address', isOptional: true, read: readQuery },
  EXPN: { syntax: 'list', isOptional: true, read: readQuery },
  HELP: { syntax: '[command]', isOptional: true, read: readPlain() },
  BDAT: {
    syntax: 'octets [LAST]',
    needsExtension: true,
    announce(session, argument, known) {
      const chunk = parseChunk(argument)
      if (chunk === undefined) return session.refuse(replies.BAD_CHUNK_SIZE)
      const { octets, isLast, isMalformed } = chunk
      // Whatever the answer is, these octets belong to the chunk and must never be read as commands.
      if (isPastDrain(session.messageOctets + octets, session.limits)) return session.tell(replies.TOO_MUCH_DATA)
      const move = session.moveFor(known)
      if (isReply(move) || isMalformed) {
        session.skip(octets, isReply(move) ? move : replies.BAD_CHUNK_SIZE)
        return session.next()
      }
      const tooMany = octets === 0 && !isLast ? session.budgets.countIdle() : undefined
      if (tooMany !== undefined) return session.tell(tooMany)
      const isFirst = session.beginChunk(octets, isLast)
      if (isFirst) return session.ask(MESSAGE, move, settleMessage)
      session.setState(move.accepted)
      return session.next()
    },
  },
  STARTTLS: {
    isBeforeTls: true,
    isBeforeAuth: true,
    needsExtension: true,
    takesNoArgument: true,
    leadsOn: true,
    refusal({ isSecure, canStartTls }) {
      if (isSecure) return replies.TLS_ACTIVE
      return canStartTls ? undefined : replies.COMMAND_OFF
    },
    read: readPlain(),
  },
  AUTH: {
    syntax: 'mechanism [initial-response]',
    isBeforeAuth: true,
    needsExtension: true,
    isAuth: true,
    refusal: ({ isAuthOff }) => (isAuthOff ? replies.COMMAND_OFF : undefined),
    read(session, argument) {
      if (session.isAuthenticated) return session.refuse(replies.ALREADY_AUTHENTICATED)
      const tidy = session.rules.addresses === 'lenient' ? argument.replace(/ +/g, ' ') : argument
      return askAuth(session, readAuth(tidy, session.auth, session))
    },
  },
}

/** Returns the entry of an extension's own verb. */
export function extensionVerb({ beforeTls = false, beforeAuth = false, effect = 'none' }: VerbRules): VerbEntry {
  return { isBeforeTls: beforeTls, isBeforeAuth: beforeAuth, read: READ_BY_EFFECT[effect] }
}

const READ_BY_EFFECT: Readonly<Record<VerbEffect, ReadVerb['read']>> = {
  none: readPlain(),
  reset: readPlain(settleReset),
  restart: readPlain(settleRestart),
  hello(session, argument, move) {
    const hello: Hello = { verb: 'EHLO', name: argument }
    const event: CommandEvent = { type: 'command', verb: session.verb, argument, hello }
    return askHello(session, argument, event, move)
  },
}

/** Each protocol has its own greeting, and does not know that of the other. */
function unknownIf(isOther: boolean): Reply | undefined {
  return isOther ? replies.UNKNOWN_COMMAND : undefined
}

// Reading

/** An event that names the client. */
type Greeting = { readonly hello?: Hello } & (CommandEvent | EventOf<'hello'>)

function readHello(session: VerbSession, argument: string, move: Move): ServerEvent {
  const hello: Hello = { verb: session.verb as Hello['verb'], name: argument }
  return askHello(session, argument, { type: 'hello', hello }, move)
}

function askHello(session: VerbSession, name: string, event: Greeting, move: Move): ServerEvent {
  const refusal = helloRefusal(name, session.rules.addresses)
  if (refusal !== undefined) return session.refuse(refusal)
  const tooMany = session.hello && session.budgets.countIdle()
  return tooMany === undefined ? session.ask(event, move, settleHello) : session.tell(tooMany)
}

/** Reads VRFY and EXPN. */
function readQuery(session: VerbSession, argument: string, move: Move): ServerEvent {
  const query = parseQuery(argument, session.rules.extensions.mail.has('SMTPUTF8'))
  return isReply(query) ? session.refuse(query) : askCommand(session, query, move)
}

/** Returns the reader of a command whose argument the driver gets unchanged. */
function readPlain(settle?: Settle): ReadVerb['read'] {
  return (session, argument, move, { leadsOn, takesNoArgument }) => {
    const refusal = argumentRefusal(argument, takesNoArgument)
    if (refusal !== undefined) return session.refuse(refusal)
    return askCommand(session, argument, move, settle, leadsOn)
  }
}

function askCommand(
  session: VerbSession,
  argument: string,
  move: Move,
  settle?: Settle,
  leadsOn: boolean = false,
): ServerEvent {
  const tooMany = leadsOn ? undefined : session.budgets.countIdle()
  if (tooMany !== undefined) return session.tell(tooMany)
  return session.ask({ type: 'command', verb: session.verb, argument }, move, settle)
}

/** Asks the driver for the next step of an exchange. */
export function askAuth(session: VerbSession, read: EventOf<'auth' | 'auth-response'> | Reply): ServerEvent {
  return isReply(read) ? session.refuse(read) : session.ask(read, END_OF_AUTH, settleAuth)
}

// What answers change

function settleHello(session: VerbSession, event: Greeting, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) {
    session.hello = event.hello
    session.endTransaction()
    session.isBehindRefusal = false
  }
  return given
}

function settleReset(session: VerbSession, _: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) {
    session.endTransaction()
    session.isBehindRefusal = false
  }
  return given
}

function settleRestart(session: VerbSession, event: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) session.forget()
  return settleReset(session, event, given, isAccepted)
}

function settleMail(session: VerbSession, event: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) session.budgets.countTransaction()
  return settleTransaction(session, event, given, isAccepted)
}

/** Settles MAIL, and a chunk that is not the last. If it is refused, the transaction ends. */
export function settleTransaction(session: VerbSession, _: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  session.isBehindRefusal = !isAccepted
  if (isAccepted) return given
  session.endTransaction()
  return session.budgets.ofIdle(given)
}

function settleRcpt(session: VerbSession, event: EventOf<'rcpt'>, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) {
    session.envelope?.forwardPaths.push(event.forwardPath)
    session.budgets.countDomain(event.forwardPath.domain)
    return given
  }
  session.budgets.letGo(session.lineOctets)
  return session.budgets.ofRecipient(given)
}

/** Settles a message that the driver refuses. */
function settleMessage(session: VerbSession, _: ServerEvent, given: Reply): Reply | undefined {
  const { chunkOctets } = session
  const final = session.budgets.ofIdle(given)
  const isSkipped = chunkOctets > 0 && final === given
  // The chunk that came with it must still be read and dropped. It is answered after that.
  if (isSkipped) session.skip(chunkOctets, given)
  session.endTransaction()
  return isSkipped ? undefined : final
}

export function settleMessageEnd(session: VerbSession, _: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  session.isBehindRefusal = !isAccepted
  if (isAccepted) session.budgets.forgive()
  const final = isAccepted ? given : session.budgets.ofIdle(given)
  session.endTransaction()
  return final
}

function settleAuth(session: VerbSession, _: ServerEvent, given: Reply, isAccepted: boolean): Reply {
  if (isAccepted) session.isAuthenticated = true
  // A malformed response is a bad command, not a failed login.
  if (given === replies.BAD_RESPONSE) return session.budgets.ofBadCommand(given)
  return given.code >= 500 ? session.budgets.ofFailedAuth(given) : given
}
