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
  maxDrainBytes: 'how much of a message over its size is read, and thrown away, to answer it',
  maxCommandLineOctets: 'length of a command line',
  maxAuthLineOctets: 'length of a line of AUTH',
  maxTextLineOctets: 'length of a line of a message',
  maxRecipients: 'recipients of one message',
  maxEnvelopeOctets: 'sender, recipients and their parameters of one message',
  maxTotalEnvelopeOctets: 'the same for all sessions together',
  maxConnections: 'connections at the same time',
  maxConnectionsPerAddress: 'connections at the same time from one address',
  maxBadCommands: 'bad commands before the client is closed on',
  maxIdleCommands: 'commands between two messages that lead nowhere, such as NOOP or RSET',
  maxFailedAuths: 'failed logins before the client is closed on',
  maxCommandsBeforeAuth: 'commands before AUTH, where it is required',
  idleTimeoutMs: 'time without a command',
  dataTimeoutMs: 'time without a byte while a message is sent',
  sessionTimeoutMs: 'time of a whole session',
  proxyHeaderTimeoutMs: 'time for the header of a proxy, where --proxy-from trusts one',
  tlsHandshakeTimeoutMs: 'time for a TLS handshake',
  hookTimeoutMs: 'time for a hook of your own, and for the store, to answer',
  minDataBytesPerSecond: 'slowest a message may be sent, on the average; 0 is any',
  minDataRateGraceMs: 'how long a message may be slower than that at its beginning',
}

/** Those that other commands take as well. */
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
