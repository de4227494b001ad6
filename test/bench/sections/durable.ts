/** Messages that are on disk before their 250: how many in a second, and with how many fsyncs. */
import type { Bench } from '../bench.ts'
import { cpuOf, measure } from '../measure.ts'
import type { Findings, Section } from '../section.ts'
import type { ServerEntry } from '../servers.ts'
import { DURABLE, takesPart } from '../shapes.ts'
import { least, median, most, shown } from '../statistics.ts'
import { type Row, table, times, verdict } from '../table.ts'

const MIN_OVER_NAIVE = 3
const COUNTS_TIMEOUT_MS = 10_000

interface Counts {
  readonly messages: number
  readonly fsyncs: number
}

export const durable: Section = {
  name: DURABLE.name,
  title: DURABLE.title,
  async run(bench: Bench): Promise<Findings> {
    const servers = bench.servers.filter(
      (server) => server.kind === 'naive-fs' || (server.kind === 'postern' && takesPart(DURABLE, server)),
    )
    const counts = new Map<ServerEntry, Counts>()
    const measured = await measure(bench, DURABLE, servers, {
      async ending(server, { program }) {
        if (server.runtime === 'workerd') return
        program.signal('SIGTERM')
        counts.set(server, await program.line<Counts>(COUNTS_TIMEOUT_MS))
      },
    })
    const rates = measured.map(({ rounds }) => rounds.map(({ messages, wallSeconds }) => messages / wallSeconds))
    const naive = median(rates[measured.findIndex(({ server }) => server.kind === 'naive-fs')] ?? [])
    const head = ['', 'messages/s', 'least – most', 'fsyncs a message', 'CPU s for 10,000', 'over naive', 'target']
    const rows = measured.map(({ server, rounds, error }, i): Row => {
      if (error !== undefined) return [server.name, `failed: ${error.split('\n', 1)[0]}`, '', '', '', '', '']
      const own = rates[i] ?? []
      const count = counts.get(server)
      const over = median(own) / naive
      const isJudged = server.kind === 'postern' && !Number.isNaN(over)
      return [
        server.name,
        shown(median(own)),
        `${shown(least(own))} – ${shown(most(own))}`,
        count === undefined ? '' : shown(count.fsyncs / count.messages),
        shown(median(rounds.map(cpuOf))),
        times(over),
        isJudged ? `≥ ${MIN_OVER_NAIVE} × naive: ${verdict(over >= MIN_OVER_NAIVE)}` : '',
      ]
    })
    return { markdown: table(head, rows) }
  },
}
