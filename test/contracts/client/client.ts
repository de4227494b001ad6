/** The contract of the client, and its outcomes on the runtime that runs this. */
import { attempt, type Outcome, patiently, type Row } from '../outcome.ts'
import { type ClientCheck, type Ground, WAYS, type Way } from './check.ts'
import { checkCuts, CUTS } from './cuts.ts'
import { greeting } from './greeting.ts'
import { BY_EXTERNAL, BY_PLUS, logins } from './logins.ts'
import { messages } from './messages.ts'
import { refusals } from './refusals.ts'
import { ANY_CERTIFICATE, tls } from './tls.ts'

const CHECKS: readonly ClientCheck[] = [...greeting, ...messages, ...refusals, ...logins, ...tls]
const IN_MEMORY = 'memory'

/** Checks that cannot pass on a runtime, by name, with the reason. */
const GAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deno: { [BY_PLUS]: 'Deno does not export keying material of TLS' },
  workerd: {
    [BY_PLUS]: 'workerd does not export keying material of TLS',
    [BY_EXTERNAL]: 'a socket of workerd shows no client certificate',
    [ANY_CERTIFICATE]: 'workerd checks every certificate',
  },
}

/** Returns what {@link clientOutcomes} reports. */
export function clientRows(runtime: string): Row[] {
  return [
    ...waysOf(runtime).flatMap((subject) => checksOver(subject).map(({ name: check }) => ({ subject, check }))),
    { subject: IN_MEMORY, check: CUTS },
  ]
}

/** @param choose Chooses the places at which the server's bytes are cut. Default: all. */
export async function* clientOutcomes(
  runtime: string,
  ground: Ground,
  choose?: Parameters<typeof checkCuts>[0],
): AsyncGenerator<Outcome> {
  for (const way of waysOf(runtime)) {
    const url = ground.urls[way]
    if (url === undefined) throw new Error(`there is no server for ${way}`)
    for (const { name: check, run } of checksOver(way)) {
      const reason = GAPS[runtime]?.[check]
      if (reason !== undefined) yield { subject: way, check, result: 'skipped', reason }
      else {
        const road = { way, url, ground, open: (options = {}) => ground.connect(url, options) }
        yield { subject: way, check, ...(await attempt(() => patiently(run(road)))) }
      }
    }
  }
  yield { subject: IN_MEMORY, check: CUTS, ...(await attempt(() => patiently(checkCuts(choose)))) }
}

function waysOf(runtime: string): readonly Way[] {
  return runtime === 'workerd' ? WAYS.filter((way) => way !== 'LMTP over a Unix socket') : WAYS
}

function checksOver(way: Way): readonly ClientCheck[] {
  return CHECKS.filter(({ ways }) => ways.includes(way))
}
