/** What is measured: plain data. */
import type { Mode } from './load/order.ts'
import type { ServerEntry, Store } from './servers.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** So many messages, as fast as they go. */
export interface Shape {
  readonly name: string
  readonly title: string
  readonly mode: Mode
  readonly sessions: number
  /** 0: as many as there are. */
  readonly messagesPerConnection: number
  readonly messageBytes: number
  readonly recipients: number
  readonly moreFields: number
  readonly secure: boolean
  /** Of one round. */
  readonly messages: number
  /** Before the first round. */
  readonly warmUpMessages: number
  /** What a server is judged by: CPU for 10,000 messages, or MiB for a second of CPU. */
  readonly figure: 'cpu' | 'rate'
  /** Stores of Postern that take part. */
  readonly stores: readonly Store[]
  readonly targets: Targets
}

/** Of Postern with the `discard` store; ratios in one run. */
export interface Targets {
  /** CPU, at most so many times that of the barest machine of its runtime. */
  readonly maxOfBarest?: number
  /** CPU on workerd, the same. */
  readonly maxOfBarestOnWorkerd?: number
  /** Rate, at least so much of that of the barest machine of its runtime. */
  readonly minOfBarest?: number
  /** At least so many times better than smtp-server on Node, by Postern's runtime. */
  readonly minOverSmtpServer?: Readonly<Partial<Record<string, number>>>
}

const SMALL = {
  mode: 'lockstep',
  messagesPerConnection: 0,
  messageBytes: KiB,
  recipients: 1,
  moreFields: 0,
  secure: false,
  messages: 10_000,
  warmUpMessages: 15_000,
  figure: 'cpu',
  stores: ['discard', 'memory'],
} as const

const SMALL_TARGETS = { maxOfBarest: 1.2, maxOfBarestOnWorkerd: 1.5 }

export const SHAPES: readonly Shape[] = [
  {
    ...SMALL,
    name: 'each',
    title: 'A connection for each message, 100 sessions, 1 KiB',
    sessions: 100,
    messagesPerConnection: 1,
    messages: 5_000,
    warmUpMessages: 8_000,
    targets: SMALL_TARGETS,
  },
  {
    ...SMALL,
    name: 'lockstep',
    title: 'Many messages a connection, 10 sessions, lockstep, 1 KiB',
    sessions: 10,
    stores: ['discard', 'hash', 'memory'],
    targets: { ...SMALL_TARGETS, minOverSmtpServer: { node: 1.3 } },
  },
  {
    ...SMALL,
    name: 'pipelined',
    title: 'The same, pipelined',
    mode: 'pipelined',
    sessions: 10,
    messages: 20_000,
    targets: { ...SMALL_TARGETS, minOverSmtpServer: { node: 2 } },
  },
  {
    ...SMALL,
    name: '10MiB',
    title: '10 MiB messages, 4 sessions',
    sessions: 4,
    messageBytes: 10 * MiB,
    messages: 100,
    warmUpMessages: 60,
    figure: 'rate',
    stores: ['discard', 'hash', 'memory', 'fs'],
    targets: { minOfBarest: 0.75, minOverSmtpServer: { node: 5, bun: 10, deno: 2.5 } },
  },
  {
    ...SMALL,
    name: '100KiB',
    title: '100 KiB messages, 10 sessions',
    sessions: 10,
    messageBytes: 100 * KiB,
    messages: 4_000,
    warmUpMessages: 4_000,
    figure: 'rate',
    targets: {},
  },
  {
    ...SMALL,
    name: 'bdat',
    title: 'BDAT, 10 sessions, 1 KiB: MAIL, RCPT and the chunk in one write',
    mode: 'bdat',
    sessions: 10,
    messages: 20_000,
    stores: ['discard'],
    targets: {},
  },
  {
    ...SMALL,
    name: 'sessions-100',
    title: '100 sessions, pipelined, 1 KiB',
    mode: 'pipelined',
    sessions: 100,
    stores: ['discard'],
    targets: {},
  },
  {
    ...SMALL,
    name: 'sessions-1000',
    title: '1,000 sessions, pipelined, 1 KiB',
    mode: 'pipelined',
    sessions: 1_000,
    stores: ['discard'],
    targets: {},
  },
  {
    ...SMALL,
    name: 'starttls',
    title: 'STARTTLS and AUTH PLAIN for each message, 20 sessions, 1 KiB',
    sessions: 20,
    messagesPerConnection: 1,
    secure: true,
    messages: 1_000,
    warmUpMessages: 1_000,
    stores: ['discard'],
    targets: {},
  },
]

/** Returns whether a server takes part in a shape. */
export function takesPart({ stores, mode, secure }: Shape, server: ServerEntry): boolean {
  if (server.kind === 'naive-fs') return false
  if (server.store !== undefined && !stores.includes(server.store)) return false
  return (mode !== 'bdat' || server.chunking) && (!secure || server.secure)
}

/** The `fs` store, where every message waits for the disk. */
export const DURABLE: Shape = {
  ...SMALL,
  name: 'durable',
  title: 'Durable on disk, 100 sessions, pipelined, 1 KiB',
  mode: 'pipelined',
  sessions: 100,
  messages: 20_000,
  warmUpMessages: 10_000,
  stores: ['fs', 'packed'],
  targets: {},
}

/** What grows by ten, and how often; the rest stays as it is. */
export interface Growth {
  readonly what: string
  /** What cost is counted for. */
  readonly unit: string
  readonly base: Shape
  readonly field: 'messageBytes' | 'recipients' | 'moreFields' | 'sessions'
  readonly values: readonly number[]
  /** How many units a message has, where that is not the field itself. */
  readonly unitBytes?: number
}

const GROWING: Shape = { ...SMALL, name: 'growth', title: '', sessions: 10, mode: 'pipelined', targets: {} }

export const GROWTHS: readonly Growth[] = [
  {
    what: 'bytes of a message',
    unit: 'MiB',
    base: GROWING,
    field: 'messageBytes',
    values: [10 * KiB, 100 * KiB, MiB, 10 * MiB],
    unitBytes: MiB,
  },
  { what: 'recipients', unit: 'recipient', base: GROWING, field: 'recipients', values: [1, 10, 100, 1000] },
  { what: 'header fields', unit: 'field', base: GROWING, field: 'moreFields', values: [10, 100, 1000, 10_000] },
  { what: 'sessions', unit: 'message', base: GROWING, field: 'sessions', values: [1, 10, 100, 1000] },
]
