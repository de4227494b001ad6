/** Runs the checks of an inbox on the runtime that runs this. */
import process from 'node:process'
import { attempt, type Outcome, report } from '../../../test/contracts/outcome.ts'
import { CHECKS } from './checks.ts'

async function* outcomes(): AsyncGenerator<Outcome> {
  for (const { name: check, run } of CHECKS) yield { subject: 'inbox', check, ...(await attempt(run)) }
}

await report(outcomes())
// Does not wait for what a failed check left open.
process.exit(0)
