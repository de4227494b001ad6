/** Checks inside a runtime report each outcome as a line of JSON. This needs no test runner and no certain runtime. */
import { within } from '../kit/waiting.ts'
import { type Check, contract, type MakePair } from './duplex/duplex.ts'

/** One check of a suite. */
export interface Row {
  /** 'TCP', 'STARTTLS' … */
  readonly subject: string
  readonly check: string
}

/** The outcome of one check. */
export interface Outcome extends Row {
  /** `skipped` is a gap of the runtime; `absent` lacks something on this machine. */
  readonly result: 'passed' | 'failed' | 'skipped' | 'absent'
  /** Why the check has not passed. */
  readonly reason?: string
}

/** The facts about a kind of connection before one is made. */
export interface Kind {
  readonly subject: string
  /** Both ends are in clear and can become TLS. Default false. */
  readonly hasStartTls?: boolean
}

/** One way to make connections. */
export interface PairKind extends Kind {
  readonly makePair: MakePair
  /** Checks that cannot pass here, by name, with the reason. */
  readonly gaps?: Readonly<Record<string, string>>
}

/** Returns the checks of the contract that apply to a kind. */
export function checksOf({ hasStartTls = false }: Kind): readonly Check[] {
  return contract.filter(({ needsStartTls }) => hasStartTls || !needsStartTls)
}

/** Returns what {@link contractOutcomes} reports of these kinds. */
export function contractRows(kinds: readonly Kind[]): Row[] {
  return kinds.flatMap((kind) => checksOf(kind).map(({ name: check }) => ({ subject: kind.subject, check })))
}

/** Runs the contract over each kind, one after another. Then runs the slow checks for all kinds at the same time. */
export async function* contractOutcomes(kinds: readonly PairKind[]): AsyncGenerator<Outcome> {
  for (const { subject, gaps = {} } of kinds) {
    const unknown = Object.keys(gaps).find((name) => !contract.some((check) => check.name === name))
    if (unknown !== undefined) throw new Error(`${subject}: there is no check '${unknown}' to leave out`)
  }
  for (const kind of kinds) {
    const checks = checksOf(kind).filter(({ isSlow }) => !isSlow)
    yield* await Promise.all(checks.map((check) => outcomeOf(kind, check)))
  }
  yield* await Promise.all(
    kinds.flatMap((kind) =>
      checksOf(kind)
        .filter(({ isSlow }) => isSlow)
        .map((check) => outcomeOf(kind, check)),
    ),
  )
}

async function outcomeOf({ subject, makePair, gaps = {} }: PairKind, { name: check, run }: Check): Promise<Outcome> {
  const reason = gaps[check]
  if (reason !== undefined) return { subject, check, result: 'skipped', reason }
  return { subject, check, ...(await attempt(() => run(makePair))) }
}

/** Runs a check that throws when it fails, and returns the outcome. */
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

/** Rejects if a check does not end. */
export function patiently(checked: Promise<void>, patienceMs: number = PATIENCE_MS): Promise<void> {
  return within(checked, 'the check', patienceMs)
}

/** Prints outcomes as lines of JSON for the process that started this program. */
export async function report(outcomes: AsyncIterable<Outcome>): Promise<void> {
  for await (const outcome of outcomes) console.log(JSON.stringify(outcome))
}
