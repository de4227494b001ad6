/**
 * The state machine: every pair of state and command, and the next state. Nothing else changes a session's state.
 *
 * The rules that it enforces:
 * - RFC 5321 4.1.4: HELO or EHLO first; MAIL, then RCPT, then DATA; EHLO and RSET give up a transaction; NOOP, HELP, VRFY,
 *   EXPN, RSET and QUIT at any time. A refused EHLO changes nothing.
 * - RFC 5321 3.3: DATA needs a recipient that was accepted. If the client named none, DATA is out of order (503). If all were
 *   refused, DATA ends a pipelined group that failed (554; 503 in LMTP, RFC 2033 4.2), and no message follows.
 * - RFC 3030 2: BDAT replaces DATA, and one transaction never has both. A refused chunk ends the transaction, so the chunks
 *   pipelined behind it are refused too.
 * - RFC 3207 4: STARTTLS after EHLO, outside a transaction; after the handshake the session is new.
 * - RFC 4954 4: AUTH after EHLO, outside a transaction.
 *
 * `gate.ts` checks two rules before the table: TLS required, then AUTH required. They do not depend on the state.
 */
import type { VerbEffect, VerbRules } from '../extensions/extension.ts'
import { type Reply, reply } from '../grammar/reply.ts'

/** States in which the next line is a command. */
export type CommandState =
  /** Greeted. The client has sent no HELO or EHLO yet, or none since STARTTLS. */
  | 'start'
  /** No transaction. */
  | 'ready'
  /** MAIL was accepted. */
  | 'mail'
  /** MAIL was accepted, and every RCPT so far was refused. */
  | 'refused'
  /** At least one recipient. */
  | 'rcpt'
  /** Between two chunks of a message. */
  | 'bdat'

export type State =
  | CommandState
  /** Message text up to CRLF . CRLF. */
  | 'data'
  /** The octets of a chunk. */
  | 'chunk'
  /** The next line answers a SASL challenge. */
  | 'auth'
  /** The next bytes are a TLS handshake. */
  | 'tls'
  | 'closed'

/** The commands that the engine knows. Extensions add others, whose rows are made from their {@link VerbRules}. */
export type Verb =
  | 'HELO'
  | 'EHLO'
  | 'LHLO'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'BDAT'
  | 'RSET'
  | 'NOOP'
  | 'VRFY'
  | 'EXPN'
  | 'HELP'
  | 'QUIT'
  | 'STARTTLS'
  | 'AUTH'

/** The next state if a command is accepted, and if it is refused. */
export interface Move {
  readonly accepted: State
  readonly refused: State
}

export const COMMAND_STATES: readonly CommandState[] = ['start', 'ready', 'mail', 'refused', 'rcpt', 'bdat']

const HELLO_FIRST = reply(503, '5.5.1', 'Send HELO or EHLO first')
const NESTED = reply(503, '5.5.1', 'A transaction is in progress')
const MAIL_FIRST = reply(503, '5.5.1', 'Send MAIL first')
const RCPT_FIRST = reply(503, '5.5.1', 'Send RCPT first')
export const NO_RECIPIENTS: Reply = reply(554, '5.5.1', 'No valid recipients')
/** The same in LMTP (RFC 2033 4.2). */
export const NO_RECIPIENTS_LMTP: Reply = reply(503, '5.5.1', 'No valid recipients')
const CHUNKS_BEGUN = reply(503, '5.5.1', 'The message is being sent by BDAT')

/** One state: an accepted command leads there, a refused one changes nothing. A pair: accepted, refused. A reply: out of order. */
type Cell = State | readonly [accepted: State, refused: State] | Reply

// oxfmt-ignore
const TABLE: Readonly<Record<Verb, readonly [Cell, Cell, Cell, Cell, Cell, Cell]>> = {
  //          start        ready       mail                   refused            rcpt                bdat
  HELO:     ['ready',     'ready',    'ready',               'ready',           'ready',            'ready'],
  EHLO:     ['ready',     'ready',    'ready',               'ready',           'ready',            'ready'],
  LHLO:     ['ready',     'ready',    'ready',               'ready',           'ready',            'ready'],
  MAIL:     [HELLO_FIRST, 'mail',     NESTED,                NESTED,            NESTED,             NESTED],
  RCPT:     [HELLO_FIRST, MAIL_FIRST, ['rcpt', 'refused'],   ['rcpt', 'refused'], 'rcpt',           CHUNKS_BEGUN],
  DATA:     [HELLO_FIRST, MAIL_FIRST, RCPT_FIRST,            NO_RECIPIENTS,     ['data', 'ready'],  CHUNKS_BEGUN],
  BDAT:     [HELLO_FIRST, MAIL_FIRST, RCPT_FIRST,            NO_RECIPIENTS,     ['chunk', 'ready'], ['chunk', 'ready']],
  RSET:     ['start',     'ready',    'ready',               'ready',           'ready',            'ready'],
  NOOP:     ['start',     'ready',    'mail',                'refused',         'rcpt',             'bdat'],
  VRFY:     ['start',     'ready',    'mail',                'refused',         'rcpt',             'bdat'],
  EXPN:     ['start',     'ready',    'mail',                'refused',         'rcpt',             'bdat'],
  HELP:     ['start',     'ready',    'mail',                'refused',         'rcpt',             'bdat'],
  QUIT:     ['closed',    'closed',   'closed',              'closed',          'closed',           'closed'],
  STARTTLS: [HELLO_FIRST, 'tls',      NESTED,                NESTED,            NESTED,             NESTED],
  AUTH:     [HELLO_FIRST, 'auth',     NESTED,                NESTED,            NESTED,             NESTED],
}

/** The move of a verb from each state, or the reply that refuses it there. */
export type Moves = Readonly<Record<CommandState, Move | Reply>>

/** Returns the row of a verb. */
export function movesFor(verb: Verb): Moves {
  const row = TABLE[verb]
  return forEachState((state, column) => {
    const cell = row[column] as Cell
    if (typeof cell === 'string') return { accepted: cell, refused: state }
    return 'code' in cell ? cell : { accepted: cell[0], refused: cell[1] }
  })
}

/** Returns the row of an extension's own verb. */
export function movesBy({ effect = 'none', inTransaction = true }: VerbRules): Moves {
  return forEachState((state) => {
    if (!inTransaction && state !== 'start' && state !== 'ready') return NESTED
    return { accepted: stateAfter(effect, state), refused: state }
  })
}

function stateAfter(effect: VerbEffect, state: CommandState): State {
  switch (effect) {
    case 'none':
      return state
    case 'reset':
      return state === 'start' ? 'start' : 'ready'
    case 'hello':
      return 'ready'
    case 'restart':
      return 'start'
  }
}

function forEachState<T>(make: (state: CommandState, column: number) => T): Record<CommandState, T> {
  const entries = COMMAND_STATES.map((state, column): [CommandState, T] => [state, make(state, column)])
  return Object.fromEntries(entries) as Record<CommandState, T>
}

/** After the last octet of a message, whatever its answer. */
export const AFTER_MESSAGE: State = 'ready'
/** After a chunk that is not the last. */
export const AFTER_CHUNK: Move = { accepted: 'bdat', refused: 'ready' }
/** After a SASL exchange, whatever its outcome. */
export const AFTER_AUTH: State = 'ready'
/** After a TLS handshake: nothing that was said before it counts. */
export const AFTER_TLS: State = 'start'
