/**
 * Clients of implicit TLS that take their time, while one other address opens connections as fast as it can and never speaks:
 * how many of them are served.
 */
import type { Bench } from '../bench.ts'
import { DAEMON_RUNTIMES, startDaemon } from '../daemon.ts'
import { flood, greetedLate } from '../load/flood.ts'
import type { Findings, Section } from '../section.ts'
import { type Row, table, verdict } from '../table.ts'

const SILENT_PER_SECOND = 1_000
const MAX_SILENT = 5_000
const CLIENTS = 40
const CLIENT_EVERY_MS = 100
/** From the connection to the ClientHello. */
const LATE_MS = 700
const MIN_SERVED = 1
const LIMITS = ['--max-connections=2000', '--max-connections-per-address=100']

export const handshakes: Section = {
  name: 'handshakes',
  title: 'Implicit TLS under a flood of silent connections',
  async run(bench: Bench): Promise<Findings> {
    const runtimes = DAEMON_RUNTIMES.filter((runtime) => bench.servers.some((server) => server.runtime === runtime))
    const rows: Row[] = []
    for (const runtime of runtimes) {
      bench.progress(`handshakes: ${runtime}`)
      const store = `fs:${bench.directory(`handshakes-${runtime}`)}`
      const { program, port } = await startDaemon(runtime, store, ['--self-signed', ...LIMITS], 'smtps')
      try {
        const stop = flood({ port, localAddress: '127.0.0.2', perSecond: SILENT_PER_SECOND, atMost: MAX_SILENT })
        const served = await greetedLate({ port, clients: CLIENTS, everyMs: CLIENT_EVERY_MS, lateMs: LATE_MS })
        const opened = await stop()
        const share = served / CLIENTS
        rows.push([
          runtime,
          opened.toLocaleString('en-US'),
          `${Math.round(share * 100)} %`,
          `all: ${verdict(share >= MIN_SERVED)}`,
        ])
      } finally {
        await program.end()
      }
    }
    const about =
      `One address opens up to ${SILENT_PER_SECOND.toLocaleString('en-US')} connections a second and says nothing; ` +
      `${CLIENTS} clients of another send their ClientHello ${LATE_MS} ms after they connected.`
    return { markdown: `${about}\n\n${table(['', 'silent connections', 'clients served', 'target'], rows)}` }
  },
}
