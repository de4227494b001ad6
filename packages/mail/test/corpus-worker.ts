/** Reads the corpus of awkward messages in workerd, and answers a request with the outcomes. */
import { mimeOutcomes } from '../../../test/contracts/mime/mime.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'

export default {
  async fetch(): Promise<Response> {
    const outcomes: Outcome[] = []
    for await (const outcome of mimeOutcomes('workerd')) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}
