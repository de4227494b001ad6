/** What a server makes from its options, once for all its connections. */
import { isPromiseLike } from '../promise.ts'
import { ExtensionSet } from '../protocol/extensions/set.ts'
import { AUTH_REQUIRED } from '../protocol/grammar/replies.ts'
import { type Reply, reply } from '../protocol/grammar/reply.ts'
import { type Limits, resolveLimits } from '../protocol/limits.ts'
import { Allowance } from '../protocol/server/allowance.ts'
import { Gate } from '../protocol/server/gate.ts'
import type { ProtocolOptions } from '../protocol/server/policy.ts'
import type { Mechanism } from '../sasl/mechanism.ts'
import type { ExtensionCommand } from './extension.ts'
import type { EndedExchange, RefusedCommand } from './handlers.ts'
import { Help } from './help.ts'
import {
  checkOptions,
  chooseExtensions,
  chooseMechanisms,
  commandsOf,
  OPTIONAL_VERBS,
  type ServerOptions,
} from './options.ts'
import { idMaker } from './session/id.ts'
import type { Session } from './session/session.ts'

/** What a server says of itself, in one protocol. */
export interface Words {
  readonly greeting: Reply
  readonly help: Help
}

/** What all connections of a server use. */
export interface Context {
  readonly options: ServerOptions
  readonly limits: Limits
  readonly protocol: ProtocolOptions
  readonly smtp: Words
  readonly lmtp: Words
  /** The mechanisms on offer, by name. */
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  /** Commands of extensions, by verb. */
  readonly commands: ReadonlyMap<string, ExtensionCommand>
  makeId(nowMs: number): string
  report(error: unknown, session: Session | undefined): void
  /** Calls the `ended` hook of AUTH. */
  exchangeEnded(exchange: EndedExchange, session: Session): void
  /** Calls the `refused` hook. */
  refused(refused: RefusedCommand, session: Session | undefined): void
}

/** @throws OptionError */
export function createContext(options: ServerOptions): Context {
  const limits = resolveLimits(options.limits)
  checkOptions(options)
  const mechanisms = chooseMechanisms(options.auth)
  const extensions = chooseExtensions(options, mechanisms)
  const commands = new Map(options.extensions?.flatMap((extension) => Object.entries(commandsOf(extension))))
  const set = new ExtensionSet(extensions)
  const verbsOff = new Set(OPTIONAL_VERBS.filter((verb) => options.disabled?.includes(verb)))
  const report: Context['report'] = (error, session) => {
    // The `error` hook itself failed, so nobody is told.
    quietly(
      () => options.error?.(error, session),
      () => {},
    )
  }
  const { requiredText } = options.auth ?? {}
  const authRequired = requiredText ? reply(530, '5.7.0', requiredText) : AUTH_REQUIRED
  return {
    options,
    limits,
    mechanisms,
    commands,
    protocol: {
      helloLine: options.helloText ? `${options.hostname} ${options.helloText}` : options.hostname,
      limits,
      extensions: set,
      mechanisms,
      allowAuthWithoutTls: options.auth?.allowWithoutTls ?? false,
      bareLineEndings: options.bareLineEndings ?? 'reject',
      addresses: options.addresses ?? 'strict',
      gate: new Gate(limits, set, verbsOff, authRequired),
      envelopes: new Allowance(limits.maxTotalEnvelopeOctets),
      now: Date.now,
    },
    smtp: { greeting: greetingOf(options, 'ESMTP'), help: new Help(set, new Set([...verbsOff, 'LHLO'])) },
    lmtp: { greeting: greetingOf(options, 'LMTP'), help: new Help(set, new Set([...verbsOff, 'HELO', 'EHLO'])) },
    makeId: idMaker(),
    report,
    exchangeEnded(exchange, session) {
      const { auth } = options
      if (auth?.ended === undefined) return
      quietly(
        () => auth.ended?.(exchange, session),
        (error) => report(error, session),
      )
    },
    refused(refused, session) {
      if (options.refused !== undefined) {
        quietly(
          () => options.refused?.(refused, session),
          (error) => report(error, session),
        )
      }
    },
  }
}

function greetingOf({ hostname, banner = 'Postern' }: ServerOptions, protocol: string): Reply {
  return reply(220, '', `${hostname} ${protocol} ${banner}`)
}

/** Calls a hook without waiting for its answer. */
function quietly(hook: () => unknown, failed: (error: unknown) => void): void {
  try {
    const told = hook()
    if (isPromiseLike(told)) told.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}
