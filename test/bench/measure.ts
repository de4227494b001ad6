/** Runs one shape on servers: cold, warm-up, then rounds that go from server to server. */
import type { Bench } from './bench.ts'
import type { SendOrder } from './load/order.ts'
import type { RunningServer, ServerEntry } from './servers.ts'
import type { Shape } from './shapes.ts'
import { median } from './statistics.ts'

const MiB = 1024 * 1024
/** If a server is slow at a shape, it gets fewer messages, because the CPU time of each message is what counts. */
const ROUND_SECONDS = 0.7
const WARM_UP_SECONDS = 3
const WARM_UP_PIECES = 5
const QUICK_SHARE = 0.3
/** The least number of small messages, so that a round of many sessions does not measure only connecting. */
const MIN_MESSAGES_A_SESSION = 20

/** One round on one server. */
export interface Round {
  readonly messages: number
  readonly wallSeconds: number
  readonly serverCpuSeconds: number
  readonly loadCpuSeconds: number
  readonly residentBytes: number
}

export interface Measured {
  readonly server: ServerEntry
  /** The first messages of a fresh process. */
  readonly cold: Round | undefined
  readonly rounds: readonly Round[]
  /** The reason why there is no figure. */
  readonly error?: string
}

export interface MeasureOptions {
  /** The greatest number of rounds, however many are asked for. */
  readonly maxRounds?: number
  /** Called before a server is ended, after all its rounds. */
  ending?(server: ServerEntry, running: RunningServer): Promise<void>
}

interface Subject {
  readonly server: ServerEntry
  running: RunningServer | undefined
  cold: Round | undefined
  rounds: Round[]
  messages: number
  error: string | undefined
}

/** All servers run at the same time and work one after the other. So a disturbance hits one round of each. */
export async function measure(
  bench: Bench,
  shape: Shape,
  servers: readonly ServerEntry[],
  { ending, maxRounds = Infinity }: MeasureOptions = {},
): Promise<Measured[]> {
  const subjects = servers.map((server): Subject => ({
    server,
    running: undefined,
    cold: undefined,
    rounds: [],
    messages: 0,
    error: undefined,
  }))
  /** An error of one server does not end the others. */
  const each = async (
    what: string,
    act: (subject: Subject, running: RunningServer) => Promise<void>,
  ): Promise<void> => {
    for (const subject of subjects) {
      if (subject.error !== undefined) continue
      bench.progress(`${shape.name}: ${subject.server.name}, ${what}`)
      try {
        subject.running ??= await bench.start(subject.server, { secure: shape.secure })
        await act(subject, subject.running)
      } catch (error) {
        subject.error = (error as Error).message
      }
    }
  }
  try {
    await each('warm-up', async (subject, running) => {
      await warmUp(bench, shape, subject, running)
    })
    const rounds = Math.min(bench.rounds, maxRounds)
    for (let round = 1; round <= rounds; round++) {
      await each(`round ${round} of ${rounds}`, async ({ rounds, messages }, running) => {
        rounds.push(await run(bench, shape, running, messages))
      })
    }
    await each('end', async ({ server }, running) => ending?.(server, running))
  } finally {
    for (const { running } of subjects) await running?.program.end()
  }
  return subjects.map(({ server, cold, rounds, error }) => ({
    server,
    cold,
    rounds,
    ...(error === undefined ? {} : { error }),
  }))
}

async function warmUp(bench: Bench, shape: Shape, subject: Subject, running: RunningServer): Promise<void> {
  const share = bench.isQuick ? QUICK_SHARE : 1
  const count = (messages: number): number => Math.max(1, Math.round(messages * share))
  subject.cold = await run(bench, shape, running, count(shape.messages / 10))
  let rate = subject.cold.messages / subject.cold.wallSeconds
  const pieceSeconds = WARM_UP_SECONDS / WARM_UP_PIECES
  const piece = Math.max(1, Math.min(count(shape.warmUpMessages / WARM_UP_PIECES), Math.round(rate * pieceSeconds)))
  let seconds = 0
  for (let i = 0; i < WARM_UP_PIECES && seconds < WARM_UP_SECONDS; i++) {
    const round = await run(bench, shape, running, piece)
    seconds += round.wallSeconds
    rate = round.messages / round.wallSeconds
  }
  const least = shape.messagesPerConnection === 0 ? shape.sessions * MIN_MESSAGES_A_SESSION : 1
  subject.messages = Math.max(
    shape.messageBytes < MiB ? least : 1,
    Math.min(count(shape.messages), Math.round(rate * ROUND_SECONDS)),
  )
}

async function run(bench: Bench, shape: Shape, running: RunningServer, messages: number): Promise<Round> {
  const { outcome, ...cost } = await bench.perform(running, orderOf(shape, running.port, messages))
  return { ...cost, messages, wallSeconds: outcome.wallMs / 1000 }
}

export function orderOf(shape: Shape, port: number, messages: number): SendOrder {
  const { mode, messageBytes, recipients, moreFields, secure, sessions, messagesPerConnection } = shape
  const talk = { mode, messageBytes, recipients, moreFields, secure }
  return { kind: 'send', port, talk, sessions, messages, messagesPerConnection }
}

/** CPU of the server, in seconds for 10,000 messages. */
export function cpuOf({ serverCpuSeconds, messages }: Round): number {
  return (serverCpuSeconds / messages) * 10_000
}

/** Returns how many MiB the server receives for a second of its CPU time. */
export function rateOf({ messageBytes }: Shape, { serverCpuSeconds, messages }: Round): number {
  return (messages * messageBytes) / MiB / serverCpuSeconds
}

/** Returns whether the load generator worked more than the server. Then the figures do not show the server's own speed. */
export function isLoadBusier({ rounds }: Measured): boolean {
  const load = median(rounds.map(({ loadCpuSeconds }) => loadCpuSeconds))
  return load > median(rounds.map(({ serverCpuSeconds }) => serverCpuSeconds))
}
