/** Runs the engine's checks in workerd: a request is answered with the outcomes. */
import type { Outcome } from '../contracts/outcome.ts'
import { engineOutcomes } from '../contracts/wire/engine.ts'

export default {
  async fetch(): Promise<Response> {
    const outcomes: Outcome[] = []
    for await (const outcome of engineOutcomes()) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}
