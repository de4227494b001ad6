/** Every limit of the engine, under its own name. */
import { LIMIT_RULES, type Limits } from '@postern/engine'
import type { ByteQuantity, TimeQuantity } from '../values/quantity.ts'
import { amount, type CommandName, type Option } from './row.ts'

/** Every {@link Limits} field by its own name. */
export type LimitRows = {
  readonly [Name in keyof Limits]: Option<LimitQuantity<Name>, number>
}

type LimitQuantity<Name> = Name extends `${string}Ms`
  ? TimeQuantity
  : Name extends `${string}${'Bytes' | 'Octets' | 'BytesPerSecond'}`
    ? ByteQuantity
    : number

const HELP: Readonly<Record<keyof Limits, string>> = {
  maxMessageBytes: 'size of one message; advertised as SIZE',
  maxDrainBytes: 'how much of a message that is too large is read and dropped before the connection is closed',
  maxCommandLineOctets: 'length of a command line',
  maxAuthLineOctets: 'length of an AUTH line',
  maxTextLineOctets: 'length of a message line',
  maxRecipients: 'recipients of one message; advertised in LIMITS',
  maxRecipientDomains: 'domains of the recipients of one message; advertised in LIMITS',
  maxTransactions: 'messages on one connection; advertised in LIMITS',
  maxReceivedFields: 'Received fields of one message; a message with more is in a loop',
  maxEnvelopeOctets: 'sender, recipients and their parameters of one message',
  maxTotalEnvelopeOctets: 'the same for all sessions together',
  maxConnections: 'connections at the same time',
  maxConnectionsPerAddress: 'connections at the same time from one address',
  maxBadCommands: 'bad commands before the connection is closed',
  maxIdleCommands: 'commands between two messages that make no progress, such as NOOP or RSET',
  maxFailedAuths: 'failed logins before the connection is closed',
  maxAuthChallenges: 'challenges of one login, for mechanisms of several steps',
  maxCommandsBeforeAuth: 'commands before AUTH, if AUTH is required',
  idleTimeoutMs: 'time without a command',
  dataTimeoutMs: 'time without a byte while a message is sent',
  sessionTimeoutMs: 'duration of a whole session',
  proxyHeaderTimeoutMs: 'time for a proxy (--proxy-from, or proxy= of a listener) to send its header',
  tlsHandshakeTimeoutMs: 'time for a TLS handshake',
  hookTimeoutMs: 'time for one of your hooks, or for the store, to answer',
  minDataBytesPerSecond: 'lowest average speed of a message; 0 means no minimum',
  minDataRateGraceMs: 'how long a message may be slower than that at its start',
}

/** Limits that other commands than `serve` take. */
const COMMANDS: Partial<Readonly<Record<keyof Limits, readonly CommandName[]>>> = {
  maxConnections: ['serve', 'front'],
  maxConnectionsPerAddress: ['serve', 'front'],
  idleTimeoutMs: ['serve', 'front'],
  sessionTimeoutMs: ['serve', 'front', 'sweep'],
  tlsHandshakeTimeoutMs: ['serve', 'front'],
  hookTimeoutMs: ['serve', 'sweep'],
}

export const limitRows: LimitRows = makeRows()

function makeRows(): { readonly [Name in keyof Limits]: Option<number, number> } {
  const rows = Object.entries(LIMIT_RULES).map(([limit, rule]) => {
    const name = limit as keyof Limits
    const { byDefault, min, mayBeInfinite } = rule
    const max = mayBeInfinite === true ? Infinity : rule.max
    const common = { group: 'Limits:', help: HELP[name], commands: COMMANDS[name] ?? (['serve'] as const) }
    return [name, amount(name, { min, max, byDefault }, common)]
  })
  return Object.fromEntries(rows)
}
