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
]

/** Whether a server takes part in a shape. */
export function takesPart({ stores, mode, secure }: Shape, server: ServerEntry): boolean {
  if (server.kind === 'naive-fs') return false
  if (server.store !== undefined && !stores.includes(server.store)) return false
  return (mode !== 'bdat' || server.chunking) && (!secure || server.secure)
}
