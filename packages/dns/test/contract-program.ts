/** Runs the contract of resolvers on the runtime that runs this: `node`, `deno run -A` or `bun run`, with the place of its server. */
import process from 'node:process'
import { udpUpstream } from '@postern/dns/sockets'
import type { Place } from '../../../test/contracts/dns/check.ts'
import { dnsOutcomes, type Gaps, overHttps } from '../../../test/contracts/dns/dns.ts'
import { NOBODY } from '../../../test/contracts/dns/waits.ts'
import { report } from '../../../test/contracts/outcome.ts'

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const GAPS: Readonly<Record<string, Gaps>> = {
  deno: { UDP: { [NOBODY]: 'Deno does not tell that nothing listens on a port of UDP, so the time runs out' } },
}
const place = JSON.parse(process.argv[2] ?? '') as Place
const ways = { UDP: ({ port }: Place) => udpUpstream({ address: '127.0.0.1', port }), HTTPS: overHttps }
await report(dnsOutcomes(runtime, ways, place, GAPS[runtime]))
// Does not wait for work that a check left open.
process.exit(0)
