/** Runs one shape on the servers that take part: warm-up, then rounds that go from server to server. */
import type { Order, Outcome, Talk } from './load/order.ts'
import { cpuBetween, type Program } from './programs.ts'
import { type RunningServer, type ServerEntry, startServer, type Surroundings } from './servers.ts'
import type { Shape } from './shapes.ts'
import { median } from './statistics.ts'

const MiB = 1024 * 1024
const ROUND_TIMEOUT_MS = 120_000
/** What servers and kernels still do when the last reply is out. */
const SETTLE_MS = 30

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
  readonly cold: Round
  readonly rounds: readonly Round[]
}

export interface Progress {
  (line: string): void
}

/** Sends an order to the load generator, and says what it cost both sides. @throws where a reply was wrong */
export async function perform(load: Program, server: Program, order: Order): Promise<Round & { outcome: Outcome }> {
  const [serverBefore, loadBefore] = [server.usage(), load.usage()]
  load.write(order)
  const outcome = await load.line<Outcome>(ROUND_TIMEOUT_MS)
  if (outcome.error !== undefined) throw new Error(outcome.error)
  await settle()
  const [serverAfter, loadAfter] = [server.usage(), load.usage()]
  return {
    outcome,
    messages: outcome.messages,
    wallSeconds: outcome.wallMs / 1000,
    serverCpuSeconds: cpuBetween(serverBefore, serverAfter),
    loadCpuSeconds: cpuBetween(loadBefore, loadAfter),
    residentBytes: serverAfter.residentBytes,
  }
}

export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
}

export function orderOf(shape: Shape, port: number, messages: number): Order {
  const { mode, messageBytes, recipients, moreFields, secure, sessions, messagesPerConnection } = shape
  const talk: Talk = { mode, messageBytes, recipients, moreFields, secure }
  return { kind: 'send', port, talk, sessions, messages, messagesPerConnection }
}

export interface MeasureOptions {
  readonly load: Program
  readonly rounds: number
  /** Of all messages, so many are sent. */
  readonly share: number
  surroundings(entry: ServerEntry, shape: Shape): Promise<Surroundings>
  readonly progress: Progress
}

/** All servers run at the same time, and work one after another: what disturbs one round disturbs one of each. */
export async function measure(
  shape: Shape,
  entries: readonly ServerEntry[],
  { load, rounds, share, surroundings, progress }: MeasureOptions,
): Promise<Measured[]> {
  const messages = Math.max(1, Math.round(shape.messages * share))
  const warmUp = Math.max(1, Math.round(shape.warmUpMessages * share))
  const coldMessages = Math.max(1, Math.round(messages / 10))
  const running: { server: ServerEntry; started: RunningServer; cold: Round; rounds: Round[] }[] = []
  try {
    for (const server of entries) {
      const started = await startServer(server, await surroundings(server, shape))
      const step = { server, started, cold: undefined as unknown as Round, rounds: [] }
      running.push(step)
      progress(`${shape.name}: ${server.name}, cold and warm-up`)
      step.cold = await run(shape, step.started, server, load, coldMessages)
      await run(shape, started, server, load, warmUp)
    }
    for (let round = 0; round < rounds; round++) {
      progress(`${shape.name}: round ${round + 1} of ${rounds}`)
      for (const { server, started, rounds } of running) rounds.push(await run(shape, started, server, load, messages))
    }
  } finally {
    for (const { started } of running) await started.program.end()
  }
  return running.map(({ server, cold, rounds }) => ({ server, cold, rounds }))
}

async function run(
  shape: Shape,
  { port, program }: RunningServer,
  { name }: ServerEntry,
  load: Program,
  messages: number,
): Promise<Round> {
  try {
    return await perform(load, program, orderOf(shape, port, messages))
  } catch (error) {
    throw new Error(`${shape.name}: ${name}: ${(error as Error).message}`, { cause: error })
  }
}

/** CPU of the server, in seconds for 10,000 messages. */
export function cpuOf({ serverCpuSeconds, messages }: Round): number {
  return (serverCpuSeconds / messages) * 10_000
}

/** What the server takes in for a second of its CPU, in MiB. */
export function rateOf(shape: Shape, { serverCpuSeconds, messages }: Round): number {
  return (messages * shape.messageBytes) / MiB / serverCpuSeconds
}

/** Whether the load generator worked more than the server: the server's own pace was not seen then. */
export function isLoadBusier({ rounds }: Measured): boolean {
  return (
    median(rounds.map(({ loadCpuSeconds }) => loadCpuSeconds)) >
    median(rounds.map(({ serverCpuSeconds }) => serverCpuSeconds))
  )
}
