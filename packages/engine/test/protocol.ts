/** Drives a {@link ServerProtocol} in a test: feeds it bytes, and records its replies, events and message bytes. */
import { Allowance } from '../src/protocol/server/allowance.ts'
import type { ServerEvent } from '../src/protocol/server/event.ts'
import { auth } from '../src/protocol/extensions/auth.ts'
import { BUILT_IN } from '../src/protocol/extensions/builtin.ts'
import { dsn } from '../src/protocol/extensions/dsn.ts'
import { ExtensionSet } from '../src/protocol/extensions/set.ts'
import { Gate } from '../src/protocol/server/gate.ts'
import { type Limits, resolveLimits } from '../src/protocol/limits.ts'
import { AUTH_REQUIRED } from '../src/protocol/grammar/replies.ts'
import { type Reply, reply } from '../src/protocol/grammar/reply.ts'
import { MECHANISMS } from '../src/sasl/mechanisms.ts'
import type { ProtocolOptions, SessionPolicy } from '../src/protocol/server/policy.ts'
import { ServerProtocol } from '../src/protocol/server/server-protocol.ts'

const encoder = new TextEncoder()

export function octets(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Bytes as a string of code units 0 to 255, so that nothing is lost in comparing. */
export function binary(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => String.fromCharCode(octet)).join('')
}

export interface Setup {
  readonly limits?: Partial<Limits>
  readonly options?: Partial<ProtocolOptions>
  readonly policy?: Partial<SessionPolicy>
  /** Answers an event that waits for a decision. undefined accepts it. */
  readonly decide?: (event: ServerEvent) => Reply | undefined
}

export function protocolFor({ limits, options, policy }: Setup = {}): ServerProtocol {
  const mechanisms = Object.values(MECHANISMS)
  const extensions = new ExtensionSet([...BUILT_IN, dsn, auth(mechanisms, true)])
  const resolved = resolveLimits({ maxBadCommands: 1_000_000, ...limits })
  return new ServerProtocol(
    {
      helloLine: 'mx.example.com',
      limits: resolved,
      extensions,
      mechanisms: new Map(mechanisms.map((mechanism) => [mechanism.name, mechanism])),
      allowAuthWithoutTls: true,
      bareLineEndings: 'reject',
      addresses: 'strict',
      envelopes: new Allowance(resolved.maxTotalEnvelopeOctets),
      now: () => 0,
      gate: new Gate(resolved, extensions, new Set(), AUTH_REQUIRED),
      ...options,
    },
    {
      isSecure: false,
      facts: [],
      canStartTls: true,
      tlsRequired: false,
      authRequired: false,
      isAuthOff: false,
      isLmtp: false,
      client: { remote: { family: 'ipv4', address: '192.0.2.1' } },
      ...policy,
    },
  )
}

/** Returns the replies that are ready to send, as text. */
export function takeText(protocol: ServerProtocol): string {
  return new TextDecoder().decode(protocol.takeReplies())
}

/** The results of a run. */
export interface Run {
  readonly protocol: ServerProtocol
  /** Every reply, as on the wire. */
  readonly replies: string
  /** The bytes of each complete message, then those of an incomplete one. */
  readonly messages: readonly string[]
  /** The names of all events but 'need-data' and 'chunk', in order. */
  readonly events: readonly string[]
}

/** Feeds `pieces` one after another, and answers the events that wait for a decision. */
export function run(
  pieces: readonly Uint8Array[],
  setup: Setup = {},
  protocol: ServerProtocol = protocolFor(setup),
): Run {
  let replies = ''
  const messages: string[] = []
  const events: string[] = []
  let failure: Reply | undefined
  const waiting = [...pieces]

  for (;;) {
    const event = protocol.next()
    if (event.type === 'need-data') {
      replies += takeText(protocol)
      const piece = waiting.shift()
      if (piece === undefined) break
      protocol.receive(piece)
      continue
    }
    if (event.type === 'chunk') {
      messages[messages.length - 1] += binary(event.bytes)
      continue
    }
    events.push(event.type)
    if (event.type === 'close' || event.type === 'end') break
    if (event.type === 'violation') continue
    if (event.type === 'message-failed') {
      failure = event.reply
      continue
    }
    const decided = setup.decide?.(event)
    if (event.type === 'message' && decided === undefined) {
      messages.push('')
      failure = undefined
      protocol.begin()
    } else if (event.type === 'hello') {
      protocol.answer(decided ?? protocol.helloReply(event.hello))
    } else if (event.type === 'message-end') {
      protocol.answer(failure ?? decided ?? reply(250, '2.0.0', 'kept'))
    } else if (event.type === 'auth' && event.response === undefined && decided === undefined) {
      protocol.challenge(octets(''))
    } else if (event.type === 'auth' || event.type === 'auth-response') {
      protocol.answer(decided ?? reply(235, '2.7.0', 'OK'))
    } else {
      protocol.answer(decided ?? reply(250, '2.0.0', 'OK'))
    }
  }
  replies += takeText(protocol)
  return { protocol, replies, messages, events }
}

/**
 * The codes of replies on the wire: '250 2.1.0', or '354' if there is no enhanced code. One for each reply, not for
 * each line.
 */
export function codes(wire: string): string[] {
  return wire
    .split('\r\n')
    .filter((line) => /^\d{3}(?: |$)/.test(line))
    .map((line) => /^\d{3}(?: [245]\.\d{1,3}\.\d{1,3})?/.exec(line)?.[0] ?? line)
}
