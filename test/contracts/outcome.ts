/** Checks that run inside a runtime report what came of each as a line of JSON. No test runner, no runtime. */
import { within } from '../kit/waiting.ts'
import { type Check, contract, LONG_LINGER_MS, type MakePair } from './duplex/duplex.ts'

/** One thing that a suite looks at. */
export interface Row {
  /** 'TCP', 'STARTTLS' … */
  readonly subject: string
  readonly check: string
}

/** What came of one check. */
export interface Outcome extends Row {
  /** `skipped` is a gap of the runtime; `absent` lacks something on this machine. */
  readonly result: 'passed' | 'failed' | 'skipped' | 'absent'
  /** Why it has not passed. */
  readonly reason?: string
}

/** What is known of a way to make connections before one is made. */
export interface Kind {
  readonly subject: string
  /** Both ends are in clear and can become TLS. Default false. */
  readonly hasStartTls?: boolean
}

/** One way to make connections. */
export interface PairKind extends Kind {
  readonly makePair: MakePair
  /** Checks that can not hold here, by name, with the reason. */
  readonly gaps?: Readonly<Record<string, string>>
}

/** Returns the checks of the contract that a kind can be asked for. */
export function checksOf({ hasStartTls = false }: Kind): readonly Check[] {
  return contract.filter(({ needsStartTls }) => hasStartTls || !needsStartTls)
}

/** Returns what {@link contractOutcomes} reports of these kinds. */
export function contractRows(kinds: readonly Kind[]): Row[] {
  return kinds.flatMap((kind) => checksOf(kind).map(({ name: check }) => ({ subject: kind.subject, check })))
}

/** Runs the contract over each kind, one kind after another; then, for all kinds together, the checks that wait for long. */
export async function* contractOutcomes(kinds: readonly PairKind[]): AsyncGenerator<Outcome> {
  for (const { subject, gaps = {} } of kinds) {
    const unknown = Object.keys(gaps).find((name) => !contract.some((check) => check.name === name))
    if (unknown !== undefined) throw new Error(`${subject}: there is no check '${unknown}' to leave out`)
  }
  const isLong = ({ lingerMs }: Check): boolean => lingerMs === LONG_LINGER_MS
  for (const kind of kinds) {
    const checks = checksOf(kind).filter((check) => !isLong(check))
    yield* await Promise.all(checks.map((check) => outcomeOf(kind, check)))
  }
  yield* await Promise.all(
    kinds.flatMap((kind) =>
      checksOf(kind)
        .filter(isLong)
        .map((check) => outcomeOf(kind, check)),
    ),
  )
}

async function outcomeOf({ subject, makePair, gaps = {} }: PairKind, { name: check, run }: Check): Promise<Outcome> {
  const reason = gaps[check]
  if (reason !== undefined) return { subject, check, result: 'skipped', reason }
  return { subject, check, ...(await attempt(() => run(makePair))) }
}

/** What comes of something that throws when it fails. */
export async function attempt(run: () => Promise<void>): Promise<Pick<Outcome, 'result' | 'reason'>> {
  try {
    await run()
    return { result: 'passed' }
  } catch (error) {
    return { result: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

/** Longer than any check takes on a slow machine. */
const PATIENCE_MS = 90_000

/** Rejects if a check takes for ever. */
export function patiently(checked: Promise<void>, patienceMs: number = PATIENCE_MS): Promise<void> {
  return within(checked, 'the check', patienceMs)
}

/** Prints outcomes as lines of JSON, for whoever started this program. */
export async function report(outcomes: AsyncIterable<Outcome>): Promise<void> {
  for await (const outcome of outcomes) console.log(JSON.stringify(outcome))
}
