/**
 * `pnpm bench:attacks [case…] [--runtime node,bun,deno] [--checkout DIR] [--seconds N]`: what strangers can do to the server, and how
 * others are served meanwhile. Run by hand: each case takes about twice its seconds on each runtime.
 *
 *     pnpm bench:attacks                                            all of it
 *     pnpm bench:attacks pipelining guessing --runtime node         some of it, named by any part
 *     pnpm bench:attacks --checkout ../before                       another checkout's server
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DAEMON_RUNTIMES, type DaemonRuntime } from '../daemon.ts'
import { machineFacts } from '../facts.ts'
import { named } from '../named.ts'
import { ROOT } from '../servers.ts'
import { shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'
import type { AttackCase } from './case.ts'
import { CASES } from './cases.ts'
import type { AttackOutcome, Visits } from './order.ts'
import { type Result, runCase } from './run.ts'

const SECONDS = 8
const MiB = 1024 * 1024
const HEAD: Row = [
  '',
  'who',
  'alone: p50 ms',
  'p99',
  'max',
  'attacked: p50 ms',
  'p99',
  'max',
  'served',
  'server: RSS MiB',
  'CPU s',
  'CPU s a MB',
  'directories',
  'end',
  'what the attacker got',
]

interface Request {
  readonly cases: readonly AttackCase[]
  readonly runtimes: readonly DaemonRuntime[]
  readonly checkout: string
  readonly seconds: number
}

await main(readRequest())

function readRequest(): Request {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        runtime: { type: 'string' },
        checkout: { type: 'string', default: ROOT },
        seconds: { type: 'string', default: String(SECONDS) },
      },
    })
    if (!/^[1-9]\d?$/.test(values.seconds)) throw new Error(`--seconds: ${values.seconds} is not a number from 1 to 99`)
    const runtimes = DAEMON_RUNTIMES.map((name) => ({ name }))
    return {
      cases: named('case', CASES, positionals),
      runtimes: named('runtime', runtimes, values.runtime?.split(',')).map(({ name }) => name),
      checkout: resolve(values.checkout),
      seconds: Number(values.seconds),
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(2)
  }
}

async function main({ cases, runtimes, checkout, seconds }: Request): Promise<void> {
  process.stdout.write(`${await machineFacts()}\n\n`)
  for (const attackCase of cases) {
    const rows: Row[] = []
    for (const runtime of runtimes) {
      try {
        rows.push(...rowsOf(runtime, await runCase(attackCase, { runtime, checkout, seconds })))
      } catch (error) {
        rows.push([runtime, `failed: ${(error as Error).message.split('\n', 1)[0]}`])
      }
    }
    process.stdout.write(`## ${attackCase.name}: ${attackCase.title}\n\n${table(HEAD, rows)}\n\n`)
  }
}

/** Makes a row for each client. The first row also has the figures of the server. */
function rowsOf(runtime: string, result: Result): Row[] {
  const { alone, attacked, tally, residentBytes, cpuSeconds, directories, ending } = result
  const megabytes = tally.octets / 1e6
  const ofServer: Row = [
    `${shown(residentBytes.before / MiB)} → ${shown(residentBytes.peak / MiB)}`,
    shown(cpuSeconds),
    megabytes > 0.1 ? shown(cpuSeconds / megabytes) : '',
    String(directories),
    ending === undefined ? 'lives' : `**died: ${ending}**`,
    said(tally),
  ]
  return attacked.map((visits, index) => [
    index === 0 ? runtime : '',
    visits.name,
    ...times(alone[index]),
    ...times(visits),
    served(visits),
    ...(index === 0 ? ofServer : ofServer.map(() => '')),
  ])
}

function times(visits: Visits | undefined): Row {
  return [visits?.p50Ms, visits?.p99Ms, visits?.maxMs].map((ms) => shown(ms ?? Number.NaN))
}

/** The part of the due visits that were served. */
function served({ served, begun, late, failures }: Visits): string {
  const reasons = Object.entries(failures).map(([reason, count]) => `${count} × ${reason}`)
  return [`${served} of ${begun + late}`, ...reasons].join('; ')
}

function said({ opened, failed, closed, octets, replies, seconds }: AttackOutcome): string {
  const codes = Object.entries(replies).map(([code, count]) => `${count.toLocaleString('en-US')} × ${code}`)
  const connections = `${opened} connections, ${closed} closed${failed > 0 ? `, ${failed} failed` : ''}`
  const sent = `${shown(octets / 1e6)} MB in ${shown(seconds)} s`
  return [connections, sent, ...codes].join('; ')
}
