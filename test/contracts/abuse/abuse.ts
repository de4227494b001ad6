/**
 * Abuse of the protocol: sessions of every kind, changed by a seed, must break no rule of the server. `judge.ts` has the rules.
 * It runs on Node, Deno and Bun, and needs no test runner.
 */
import process from 'node:process'
import { Random } from '../../kit/random.ts'
import { attempt, type Outcome, type Row } from '../outcome.ts'
import { collectedBytes } from './heap.ts'
import { judge } from './judge.ts'
import { type Kind, KINDS, makeSession } from './kinds.ts'
import { mutated } from './mutate.ts'
import { play } from './play.ts'
import { printed, type Session, type ValidSession } from './session.ts'
import { shrunk } from './shrink.ts'
import { memoryStage, socketStage, type Stage } from './stage.ts'

export interface AbuseOptions {
  readonly seed: number
  /** How many sessions are played inside the program, and over sockets. */
  readonly inMemory: number
  readonly overSockets: number
  /** Plays only the session with this number. */
  readonly only?: number
}

const TRANSPORTS = { memory: memoryStage, sockets: socketStage } as const
type Transport = keyof typeof TRANSPORTS

const VALID = 'valid sessions of each kind are accepted'
const MUTATED = 'changed sessions break no rule'
const FLAT = 'the heap does not grow'

/** Sessions at the same time. */
const AT_ONCE = 48
/**
 * Bytes that the heap may grow. It grew by up to 0.9 MB, in runs of 600 and of 9,000, because runtimes compile and cache. If the server
 * keeps its sessions, 450 of them cost 4 MB.
 */
const MAX_GROWTH_BYTES = 3 * 1_048_576
/** The runtime compiles and caches until then. */
const WARM_SHARE = 1 / 4

/** Returns what {@link abuseOutcomes} reports. */
export function abuseRows(): Row[] {
  return [
    { subject: 'memory', check: VALID },
    { subject: 'memory', check: MUTATED },
    { subject: 'memory', check: FLAT },
    { subject: 'sockets', check: VALID },
    { subject: 'sockets', check: MUTATED },
  ]
}

export async function* abuseOutcomes(options: AbuseOptions): AsyncGenerator<Outcome> {
  const uncaught = watchUncaught()
  for (const subject of ['memory', 'sockets'] as const) {
    yield { subject, check: VALID, ...(await attempt(() => checkValid(subject, options.seed))) }
    const heap = { warmBytes: 0, endBytes: 0, sessions: 0 }
    const played = await attempt(() => checkMutated(subject, options, uncaught, heap))
    yield { subject, check: MUTATED, ...played }
    if (subject === 'memory') yield { subject, check: FLAT, ...(await attempt(async () => checkHeap(heap))) }
  }
}

/** Collects errors that nobody caught. Each would end a server. */
function watchUncaught(): unknown[] {
  const uncaught: unknown[] = []
  process.on('uncaughtException', (error) => uncaught.push(error))
  process.on('unhandledRejection', (error) => uncaught.push(error))
  return uncaught
}

/** Shows that sessions are valid before they are changed. */
async function checkValid(transport: Transport, seed: number): Promise<void> {
  await using stage = await TRANSPORTS[transport](true)
  const random = new Random(seed)
  for (const kind of KINDS) {
    const session = makeSession(kind, random)
    const complaints = await complaintsOfValid(session, stage)
    if (complaints.length > 0) throw new Error(`${complaints.join('\n')}\n${printed(session)}`)
  }
}

async function complaintsOfValid(session: ValidSession, stage: Stage): Promise<string[]> {
  const played = await play(session, stage)
  const complaints = await judge(session, played, stage.store)
  const refusals = played.heard.match(/^[45]\d\d /gm)?.length ?? 0
  if (refusals !== session.refusals) complaints.push(`${refusals} refusals, not ${session.refusals}:\n${played.heard}`)
  if (played.kept.length !== session.messages)
    complaints.push(`${played.kept.length} messages, not ${session.messages}`)
  return complaints
}

async function checkMutated(
  transport: Transport,
  options: AbuseOptions,
  uncaught: readonly unknown[],
  heap: Heap,
): Promise<void> {
  await using stage = await TRANSPORTS[transport](false)
  const count = transport === 'memory' ? options.inMemory : options.overSockets
  const numbers = options.only === undefined ? Array.from({ length: count }, (_, index) => index) : [options.only]
  const warm = Math.floor(numbers.length * WARM_SHARE)
  const run = { seed: options.seed, stage, uncaught }
  await playAll(numbers.slice(0, warm), run)
  if (transport === 'memory') heap.warmBytes = await collectedBytes()
  await playAll(numbers.slice(warm), run)
  if (stage.sessionCount > 0) throw new Error(`${stage.sessionCount} sessions are open at the end`)
  const { records } = await stage.store.list()
  if (records.length > 0) throw new Error(`the store has ${records.length} messages of no session`)
  if (transport !== 'memory') return
  heap.sessions = numbers.length - warm
  heap.endBytes = await collectedBytes()
}

interface Run {
  readonly seed: number
  readonly stage: Stage
  readonly uncaught: readonly unknown[]
}

/** Plays sessions, many at the same time. @throws Error that describes the first that fails */
async function playAll(numbers: readonly number[], { seed, stage, uncaught }: Run): Promise<void> {
  const left = numbers.values()
  let failure: { readonly number: number; readonly why: string } | undefined
  async function lane(): Promise<void> {
    for (const number of left) {
      const why = await failureOf(changedSession(seed, number), stage)
      if (why !== undefined) failure ??= { number, why }
      const [error] = [...uncaught, ...stage.errors]
      if (error !== undefined) failure ??= { number, why: `of this or another session, ${describe(error)}` }
      if (failure !== undefined) return
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  if (failure !== undefined) throw new Error(await report(seed, failure.number, failure.why, stage))
}

/** Each session depends on the seed and its number alone. */
function changedSession(seed: number, number: number): Session {
  const random = new Random(Math.imul(seed, 0x9e3779b1) + number)
  const kind = KINDS[number % KINDS.length] as Kind
  return mutated(makeSession(kind, random), random)
}

/** Plays a session. Returns what is wrong with it. */
async function failureOf(session: Session, stage: Stage): Promise<string | undefined> {
  try {
    const complaints = await judge(session, await play(session, stage), stage.store)
    return complaints.length === 0 ? undefined : complaints.join('\n')
  } catch (error) {
    return describe(error)
  }
}

/** Describes a session that failed: the shortest that fails too. */
async function report(seed: number, number: number, why: string, stage: Stage): Promise<string> {
  const fewer = await shrunk(changedSession(seed, number), async (shorter) => {
    return (await failureOf(shorter, stage)) !== undefined
  })
  const reason = (await failureOf(fewer, stage)) ?? `${why}\n(it passes when it is played alone)`
  return `session ${number} of SEED=${seed} (ONLY=${number} repeats it): ${reason}\n${printed(fewer)}`
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

interface Heap {
  warmBytes: number
  endBytes: number
  /** Sessions between the two. */
  sessions: number
}

function checkHeap({ warmBytes, endBytes, sessions }: Heap): void {
  const growth = endBytes - warmBytes
  if (sessions === 0) throw new Error('not measured, because a session failed')
  if (growth > MAX_GROWTH_BYTES) throw new Error(`the heap grew by ${growth} bytes in ${sessions} sessions`)
}
