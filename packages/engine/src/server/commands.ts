/**
 * Handles the events between messages. For each command it has the hooks to ask, and the answer if no hook gives one.
 * A hook that answers at once costs no promise: the functions here return a promise only if they have to wait.
 */
import { EarlyBytesError } from '../duplex.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { CommandEvent, Hello, ServerEvent } from '../protocol/server/event.ts'
import { authenticate } from './authentication.ts'
import { type Dialogue, factsOf } from './dialogue.ts'
import type { SessionChange } from './extension.ts'
import type { Verdict } from './handlers.ts'
import { ArrivalError } from './places/arrivals.ts'
import { receiveMessage } from './transfer.ts'
import { isRefusal } from './verdict.ts'

const NO_CHANGE: SessionChange = {}

/** Handles an event, and answers it. */
export function handle(dialogue: Dialogue, event: ServerEvent): void | Promise<void> {
  if (dialogue.refuseNext !== undefined) return refuseAll(dialogue, dialogue.refuseNext)
  const { context, hooks, session } = dialogue
  const { options } = context
  switch (event.type) {
    case 'violation':
      // This was the last line of an exchange.
      dialogue.endExchange('given-up')
      dialogue.tellRefusal(event.reply, false, dialogue.protocol.verb)
      return dialogue.wire.flushIfLong()
    case 'hello':
      return greet(dialogue, event.hello)
    case 'mail': {
      const verdict = options.mail && hooks.ask('mail', () => options.mail?.(event.reversePath, session))
      return dialogue.answer(verdict, replies.SENDER_OK)
    }
    case 'rcpt': {
      const verdict = options.rcpt && hooks.ask('rcpt', () => options.rcpt?.(event.forwardPath, session))
      return dialogue.answer(verdict, replies.RECIPIENT_OK)
    }
    case 'auth':
    case 'auth-response':
      return authenticate(dialogue, event)
    case 'command': {
      const act = ACTS.get(event.verb)
      return act === undefined ? askExtension(dialogue, event) : act(dialogue, event.argument)
    }
    case 'message':
      return receiveMessage(dialogue, handle)
    default:
      throw new Error(`'${event.type}' outside a message`)
  }
}

/** Carries out a command. */
type Act = (dialogue: Dialogue, argument: string) => void | Promise<void>

const ACTS: ReadonlyMap<string, Act> = new Map<string, Act>([
  ['NOOP', (dialogue) => dialogue.answer(undefined, replies.OK)],
  ['RSET', (dialogue) => giveUpTransaction(dialogue, () => dialogue.answer(undefined, replies.OK))],
  ['QUIT', (dialogue) => dialogue.answer(undefined, replies.GOODBYE)],
  ['HELP', (dialogue, topic) => dialogue.answer(undefined, dialogue.words.help.about(topic, dialogue.protocol))],
  ['VRFY', verify],
  ['EXPN', expand],
  ['STARTTLS', startTls],
])

function verify(dialogue: Dialogue, argument: string): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const verdict = hooks.ask('verify', () => context.options.verify?.(argument, session))
  return dialogue.answer(verdict, replies.CANNOT_VERIFY)
}

function expand(dialogue: Dialogue, argument: string): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const verdict = hooks.ask('expand', () => context.options.expand?.(argument, session))
  return dialogue.answer(verdict, replies.COMMAND_OFF)
}

/** Asks the handler of an extension's command. */
function askExtension(dialogue: Dialogue, event: CommandEvent): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const command = context.commands.get(event.verb)
  const change: SessionChange = {}
  const verdict = hooks.ask(event.verb, () => command?.handle(event.argument, session, change))
  const then = (answered: Verdict): void | Promise<void> => {
    if (isRefusal(answered)) return dialogue.answer(answered, answered)
    switch (command?.effect) {
      case 'reset':
        return giveUpTransaction(dialogue, () => accept(dialogue, change, answered, replies.OK))
      case 'hello':
        return greet(dialogue, event.hello as Hello, change, answered)
      case 'restart':
        return giveUpTransaction(dialogue, () => restart(dialogue, change, answered))
      default:
        return accept(dialogue, change, answered, replies.OK)
    }
  }
  return verdict instanceof Promise ? verdict.then(then) : then(verdict)
}

/** Accepts a command, and makes its change. */
function accept(dialogue: Dialogue, change: SessionChange, verdict: Verdict, byDefault: Reply): void | Promise<void> {
  const { protocol, session } = dialogue
  const answered = dialogue.answer(verdict, byDefault)
  changeClient(dialogue, change)
  if (change.user !== undefined) {
    session.user = change.user
    protocol.isAuthenticated = true
  }
  return answered
}

function changeClient({ protocol, session }: Dialogue, change: SessionChange): void {
  const { forwarded, hello, local, remote, reverseDns } = change
  if (remote !== undefined) session.remote = remote
  if (reverseDns !== undefined) session.reverseDns = reverseDns
  if (local !== undefined) session.local = local
  if (hello !== undefined) protocol.hello = hello
  if (forwarded !== undefined) protocol.forwarded = forwarded
}

/** Restarts the session. The `connect` hook is asked about the client that the session now has. */
async function restart(dialogue: Dialogue, change: SessionChange, answered: Verdict): Promise<void> {
  const { context, hooks, protocol, session, wire } = dialogue
  const { options } = context
  // The hook must see the session as it will be. If the hook refuses, the old session does not come back.
  protocol.forget()
  session.user = undefined
  changeClient(dialogue, change)
  const verdict = options.connect && (await hooks.ask('connect', () => options.connect?.(session)))
  if (!isRefusal(verdict)) return accept(dialogue, change, answered, dialogue.words.greeting)
  await dialogue.answer(verdict, verdict)
  return wire.hangUp()
}

/**
 * Handles HELO, EHLO and extension commands that greet.
 * @param given The reply. Default: the one to HELO or EHLO
 */
function greet(
  dialogue: Dialogue,
  hello: Hello,
  change: SessionChange = NO_CHANGE,
  given?: Verdict,
): void | Promise<void> {
  const { context, hooks, protocol, session } = dialogue
  const { options } = context
  const verdict = options.hello && hooks.ask('hello', () => options.hello?.(hello, session))
  const then = (answered: Verdict): void | Promise<void> => {
    if (isRefusal(answered)) return dialogue.answer(answered, answered)
    const accepted = protocol.helloReply(hello)
    return giveUpTransaction(dialogue, () => accept(dialogue, change, given, accepted))
  }
  return verdict instanceof Promise ? verdict.then(then) : then(verdict)
}

/** Calls `reset` if there was a transaction, then goes on. */
function giveUpTransaction(dialogue: Dialogue, then: () => void | Promise<void>): void | Promise<void> {
  const { context, hooks, protocol, session } = dialogue
  const { options } = context
  if (options.reset === undefined || protocol.envelope === undefined) return then()
  const told = hooks.ask('reset', () => options.reset?.(session))
  return told instanceof Promise ? told.then(then) : then()
}

async function startTls(dialogue: Dialogue): Promise<void> {
  const { context, hooks, protocol, session, wire } = dialogue
  const { options } = context
  // Sends the replies to earlier commands first, so that nothing is awaited between 220 and the handshake.
  await wire.flush()
  if (wire.isOver) return
  protocol.answer(replies.READY_FOR_TLS)
  const flushed = wire.flush()
  const earlyOctets = protocol.unreadOctets
  if (earlyOctets > 0) {
    await flushed
    wire.error = new EarlyBytesError(earlyOctets)
    tellHandshakeFailure(dialogue)
    return wire.hangUp()
  }
  const tls = await wire.startTls()
  if (tls === undefined) return tellHandshakeFailure(dialogue)
  session.tls = tls
  session.user = undefined
  protocol.secured(factsOf(wire.duplex))
  const verdict = await hooks.ask('secure', () => options.secure?.(tls, session))
  if (isRefusal(verdict)) dialogue.refuseNext = verdict
}

/** Reports why the handshake failed. Reports nothing if the server itself ended the session. */
function tellHandshakeFailure({ context, isDestroyed, session, wire }: Dialogue): void {
  if (isDestroyed) return
  context.report(new ArrivalError('tls-handshake', session.remote, wire.error), session)
}

function refuseAll(dialogue: Dialogue, refusal: Reply): Promise<void> {
  // Drops the protocol's replies to the command.
  dialogue.protocol.takeReplies()
  dialogue.protocol.say(refusal)
  dialogue.tellRefusal(refusal, true)
  return dialogue.wire.hangUp()
}
