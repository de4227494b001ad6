/** Runs the contract of resolvers in workerd, and answers a request with the outcomes. */
import type { Place } from '../../../test/contracts/dns/check.ts'
import { dnsOutcomes, overHttps } from '../../../test/contracts/dns/dns.ts'
import type { Outcome } from '../../../test/contracts/outcome.ts'

export default {
  async fetch(request: Request): Promise<Response> {
    const outcomes: Outcome[] = []
    const place = (await request.json()) as Place
    for await (const outcome of dnsOutcomes('workerd', { HTTPS: overHttps }, place)) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}
