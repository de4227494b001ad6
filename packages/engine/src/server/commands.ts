/**
 * The events between messages, and what each command does: the hooks that it asks, and the answer where they have none.
 *
 * What answers at once costs no promise: a function here returns one only where there is something to wait for.
 */
import { EarlyBytesError } from '../duplex.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Hello, ServerEvent } from '../protocol/server/event.ts'
import { authenticate } from './authentication.ts'
import type { Dialogue } from './dialogue.ts'
import type { Verdict } from './handlers.ts'
import { ArrivalError } from './places/arrivals.ts'
import { receiveMessage } from './transfer.ts'
import { isRefusal } from './verdict.ts'

/** Does what an event asks for, and answers it. */
export function handle(dialogue: Dialogue, event: ServerEvent): void | Promise<void> {
  if (dialogue.refuseNext !== undefined) return refuseAll(dialogue, dialogue.refuseNext)
  const { context, hooks, session } = dialogue
  const { options } = context
  switch (event.type) {
    case 'violation':
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
    case 'credentials':
      return authenticate(dialogue, event.credentials)
    case 'command': {
      const act = ACTS.get(event.verb) ?? askExtension
      return act(dialogue, event.argument, event.verb)
    }
    case 'message':
      return receiveMessage(dialogue, handle)
    default:
      throw new Error(`'${event.type}' outside a message`)
  }
}

/** Does what a command is for. */
type Act = (dialogue: Dialogue, argument: string, verb: string) => void | Promise<void>

const ACTS: ReadonlyMap<string, Act> = new Map<string, Act>([
  ['NOOP', (dialogue) => dialogue.answer(undefined, replies.OK)],
  ['RSET', (dialogue) => giveUpTransaction(dialogue, () => dialogue.answer(undefined, replies.OK))],
  ['QUIT', (dialogue) => dialogue.answer(undefined, replies.GOODBYE)],
  ['HELP', (dialogue) => dialogue.answer(undefined, dialogue.context.help)],
  [
    'VRFY',
    (dialogue, argument) => {
      const { context, hooks, session } = dialogue
      return dialogue.answer(
        hooks.ask(() => context.options.verify?.(argument, session)),
        replies.CANNOT_VERIFY,
      )
    },
  ],
  [
    'EXPN',
    (dialogue, argument) => {
      const { context, hooks, session } = dialogue
      return dialogue.answer(
        hooks.ask(() => context.options.expand?.(argument, session)),
        replies.COMMAND_OFF,
      )
    },
  ],
  ['STARTTLS', startTls],
])

function askExtension(dialogue: Dialogue, argument: string, verb: string): void | Promise<void> {
  const { context, hooks, session } = dialogue
  return dialogue.answer(
    hooks.ask(() => context.commands.get(verb)?.(argument, session)),
    replies.OK,
  )
}

/** HELO and EHLO. */
function greet(dialogue: Dialogue, hello: Hello): void | Promise<void> {
  const { context, hooks, protocol, session } = dialogue
  const { options } = context
  const verdict = options.hello && hooks.ask(() => options.hello?.(hello, session))
  const then = (answered: Verdict): void | Promise<void> => {
    if (isRefusal(answered)) return dialogue.answer(answered, answered)
    const accepted = protocol.helloReply(hello)
    return giveUpTransaction(dialogue, () => dialogue.answer(undefined, accepted))
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
