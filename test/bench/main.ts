/**
 * `pnpm bench [section…] [--server a,b] [--rounds N] [--quick] [--write]`: how fast Postern is, compared with other
 * servers and with the barest one.
 *
 *     pnpm bench                                                                  all sections and servers
 *     pnpm bench --write                                                          the same, into docs/performance.md
 *     pnpm bench lockstep --server postern-node-discard,barest-node --rounds 5    a row or two
 *
 * A section or a server is named by any part of its name.
 */
import { parseArgs } from 'node:util'
import { Bench } from './bench.ts'
import type { Panel } from './chart.ts'
import { machineFacts } from './facts.ts'
import { named } from './named.ts'
import { writeReport } from './report.ts'
import type { Section } from './section.ts'
import { SECTIONS } from './sections/index.ts'
import { missing, SERVERS, type ServerEntry } from './servers.ts'

const ROUNDS = 5
const QUICK_ROUNDS = 3
/** Its CPU time is a multiple of all others', so their bars would be too small to see. */
const OFF_SCALE = /workerd/
/** Sections that have a place in the chart. */
const CHARTED: ReadonlySet<string> = new Set(['each', 'lockstep', 'pipelined', '10MiB'])

interface Request {
  readonly sections: readonly Section[]
  readonly servers: readonly ServerEntry[]
  readonly rounds: number
  readonly isQuick: boolean
  readonly isWritten: boolean
}

await main(readRequest())

function readRequest(): Request {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        server: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
      },
    })
    const rounds = values.rounds ?? String(values.quick ? QUICK_ROUNDS : ROUNDS)
    if (!/^[1-9]\d{0,2}$/.test(rounds)) throw new Error(`--rounds: ${rounds} is not a number from 1 to 999`)
    return {
      sections: named('section', SECTIONS, positionals),
      servers: named('server', SERVERS, values.server?.split(',')),
      rounds: Number(rounds),
      isQuick: values.quick,
      isWritten: values.write,
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(2)
  }
}

async function main({ sections, servers, rounds, isQuick, isWritten }: Request): Promise<void> {
  const present = servers.filter((server) => {
    const why = missing(server)
    if (why !== undefined) process.stderr.write(`${server.name} is left out: ${why}\n`)
    return why === undefined
  })
  await using bench = await Bench.open({ servers: present, rounds, isQuick, progress })
  const facts = await machineFacts()
  process.stdout.write(`${facts}\n\n`)
  const parts: string[] = []
  const panels: Panel[] = []
  for (const section of sections) {
    const { markdown, bars } = await section.run(bench)
    progress('')
    const part = `## ${section.title}\n\n${markdown}`
    process.stdout.write(`${part}\n\n`)
    parts.push(part)
    if (bars !== undefined && CHARTED.has(section.name)) {
      panels.push({
        title: `${section.title}: ${bars.title}`,
        bars: bars.bars.filter(({ name }) => !OFF_SCALE.test(name)),
      })
    }
  }
  if (isWritten) writeReport(facts, parts, panels)
}

/** Shows the work in progress, on a terminal. */
function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}
