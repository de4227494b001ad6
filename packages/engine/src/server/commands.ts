/**
 * The events between messages, and what each command does: the hooks that it asks, and the answer where they have none.
 *
 * What answers at once costs no promise: a function here returns one only where there is something to wait for.
 */
import { EarlyBytesError } from '../duplex.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { CommandEvent, Hello, ServerEvent } from '../protocol/server/event.ts'
import { authenticate } from './authentication.ts'
import type { Dialogue } from './dialogue.ts'
import type { SessionChange } from './extension.ts'
import type { Verdict } from './handlers.ts'
import { ArrivalError } from './places/arrivals.ts'
import { receiveMessage } from './transfer.ts'
import { isRefusal } from './verdict.ts'

const NO_CHANGE: SessionChange = {}

/** Does what an event asks for, and answers it. */
export function handle(dialogue: Dialogue, event: ServerEvent): void | Promise<void> {
  if (dialogue.refuseNext !== undefined) return refuseAll(dialogue, dialogue.refuseNext)
  const { context, hooks, session } = dialogue
  const { options } = context
  switch (event.type) {
    case 'violation':
      // Of an exchange, it was the last line.
      dialogue.exchange = undefined
      dialogue.tellRefusal(event.reply, false, dialogue.protocol.verb)
      return dialogue.wire.flushIfLong()
    case 'hello':
      return greet(dialogue, event.hello)
    case 'mail': {
      const verdict = options.mail && hooks.ask(() => options.mail?.(event.reversePath, session))
      return dialogue.answer(verdict, replies.SENDER_OK)
    }
    case 'rcpt': {
      const verdict = options.rcpt && hooks.ask(() => options.rcpt?.(event.forwardPath, session))
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

/** Does what a command is for. */
type Act = (dialogue: Dialogue, argument: string) => void | Promise<void>

const ACTS: ReadonlyMap<string, Act> = new Map<string, Act>([
  ['NOOP', (dialogue) => dialogue.answer(undefined, replies.OK)],
  ['RSET', (dialogue) => giveUpTransaction(dialogue, () => dialogue.answer(undefined, replies.OK))],
  ['QUIT', (dialogue) => dialogue.answer(undefined, replies.GOODBYE)],
  ['HELP', (dialogue) => dialogue.answer(undefined, dialogue.context.help)],
  ['VRFY', verify],
  ['EXPN', expand],
  ['STARTTLS', startTls],
])

function verify(dialogue: Dialogue, argument: string): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const verdict = hooks.ask(() => context.options.verify?.(argument, session))
  return dialogue.answer(verdict, replies.CANNOT_VERIFY)
}

function expand(dialogue: Dialogue, argument: string): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const verdict = hooks.ask(() => context.options.expand?.(argument, session))
  return dialogue.answer(verdict, replies.COMMAND_OFF)
}

/** A command of an extension's own. */
function askExtension(dialogue: Dialogue, event: CommandEvent): void | Promise<void> {
  const { context, hooks, session } = dialogue
  const command = context.commands.get(event.verb)
  const change: SessionChange = {}
  const verdict = hooks.ask(() => command?.handle(event.argument, session, change))
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

/** Accepts a command, and makes the change that it is for. */
function accept(
  dialogue: Dialogue,
  { remote, user }: SessionChange,
  verdict: Verdict,
  byDefault: Reply,
): void | Promise<void> {
  const { protocol, session } = dialogue
  const answered = dialogue.answer(verdict, byDefault)
  if (remote !== undefined) session.remote = remote
  if (user !== undefined) {
    session.user = user
    protocol.isAuthenticated = true
  }
  return answered
}

/** Begins the session anew: the `connect` hook is asked about the client that it now is. */
async function restart(dialogue: Dialogue, change: SessionChange, answered: Verdict): Promise<void> {
  const { context, hooks, protocol, session, wire } = dialogue
  const { options } = context
  // The hook is to see the session as it then is. If it refuses, there is no way back.
  protocol.forget()
  session.user = undefined
  if (change.remote !== undefined) session.remote = change.remote
  const verdict = options.connect && (await hooks.ask(() => options.connect?.(session)))
  if (!isRefusal(verdict)) return accept(dialogue, change, answered, context.greeting)
  await dialogue.answer(verdict, verdict)
  return wire.hangUp()
}

/** HELO, EHLO, and what is like them. @param given The reply; default: the one to HELO or EHLO */
function greet(
  dialogue: Dialogue,
  hello: Hello,
  change: SessionChange = NO_CHANGE,
  given?: Verdict,
): void | Promise<void> {
  const { context, hooks, protocol, session } = dialogue
  const { options } = context
  const verdict = options.hello && hooks.ask(() => options.hello?.(hello, session))
  const then = (answered: Verdict): void | Promise<void> => {
    if (isRefusal(answered)) return dialogue.answer(answered, answered)
    const accepted = protocol.helloReply(hello)
    return giveUpTransaction(dialogue, () => accept(dialogue, change, given, accepted))
  }
  return verdict instanceof Promise ? verdict.then(then) : then(verdict)
}

/** Tells `reset` where there was a transaction, then goes on. */
function giveUpTransaction(dialogue: Dialogue, then: () => void | Promise<void>): void | Promise<void> {
  const { context, hooks, protocol, session } = dialogue
  const { options } = context
  if (options.reset === undefined || protocol.envelope === undefined) return then()
  const told = hooks.ask(() => options.reset?.(session))
  return told instanceof Promise ? told.then(then) : then()
}

async function startTls(dialogue: Dialogue): Promise<void> {
  const { context, hooks, protocol, session, wire } = dialogue
  const { options } = context
  // Replies to what came before go out first, so that nothing is awaited between 220 and the handshake.
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
  protocol.secured()
  const verdict = await hooks.ask(() => options.secure?.(tls, session))
  if (isRefusal(verdict)) dialogue.refuseNext = verdict
}

/** Says why there is no TLS. What the server's own end brings about is no news. */
function tellHandshakeFailure({ context, isDestroyed, session, wire }: Dialogue): void {
  if (isDestroyed) return
  context.report(new ArrivalError('tls-handshake', session.remote, wire.error), session)
}

function refuseAll(dialogue: Dialogue, refusal: Reply): Promise<void> {
  // Whatever the protocol had to say of the command is not said.
  dialogue.protocol.takeReplies()
  dialogue.protocol.say(refusal)
  dialogue.tellRefusal(refusal, true)
  return dialogue.wire.hangUp()
}
