/** Runs one case against one server: its clients alone, then under attack. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Scratch } from '../../kit/scratch.ts'
import { pause } from '../bench.ts'
import { type DaemonRuntime, runDaemon } from '../daemon.ts'
import { CORES, cpuBetween, Program } from '../programs.ts'
import { scriptCommand } from '../servers.ts'
import { type AttackCase, USER } from './case.ts'
import { type AttackOrder, type AttackOutcome, type ClientsOrder, LEAD_MS, type Visits } from './order.ts'

export interface RunOptions {
  readonly runtime: DaemonRuntime
  readonly checkout: string
  readonly seconds: number
}

export interface Result {
  readonly alone: readonly Visits[]
  readonly attacked: readonly Visits[]
  readonly tally: AttackOutcome
  /** Before the attack, and at the most. */
  readonly residentBytes: { readonly before: number; readonly peak: number }
  /** Of the server, during the attack. */
  readonly cpuSeconds: number
  /** How the server ended, if it did. */
  readonly ending: number | string | undefined
  /** In the store, at the end. */
  readonly directories: number
}

const WARM_UP_MS = 1_000
const SAMPLE_MS = 25
/** More than clients wait at the end. */
const OUTCOME_TIMEOUT_MS = 20_000
/** The time that an attack may last beyond its own, because clients still wait. It then ends without an order. */
const MARGIN_SECONDS = 12
const MAX_RESIDENT_BYTES = 1.5 * 1024 ** 3
/** The attacker shares a core with the clients, and the clients must be served. */
const NICE = ['nice', '-n', '5']

export async function runCase(attackCase: AttackCase, options: RunOptions): Promise<Result> {
  const { runtime, checkout } = options
  await using scratch = await Scratch.make()
  const started: Program[] = []
  try {
    const store = scratch.join('mail')
    for (const mailbox of attackCase.mailboxes ?? []) {
      for (const folder of ['cur', 'new', 'tmp'])
        mkdirSync(join(store, mailbox, folder), { recursive: true, mode: 0o700 })
    }
    const { program: server, ports } = await runDaemon(runtime, {
      args: serveArguments(attackCase, store, checkout),
      checkout,
      env: heapOf(attackCase),
      ...(attackCase.hasAllCores ? {} : { core: CORES.server }),
    })
    started.push(server)
    const clients = new Program(scriptCommand('node', 'attacks/clients.ts'), { core: CORES.load })
    started.push(clients)
    const attacker = new Program([...NICE, ...scriptCommand('node', 'attacks/attacker.ts')], { core: CORES.load })
    started.push(attacker)
    clients.write(clientsOrder(attackCase, ports))
    return {
      ...(await measure(attackCase, options, { server, clients, attacker, ports })),
      directories: directoriesIn(store),
    }
  } finally {
    await Promise.all(started.map((program) => program.end()))
  }
}

interface Cast {
  readonly server: Program
  readonly clients: Program
  readonly attacker: Program
  readonly ports: readonly number[]
}

async function measure(
  attackCase: AttackCase,
  { seconds }: RunOptions,
  { server, clients, attacker, ports }: Cast,
): Promise<Omit<Result, 'directories'>> {
  /** Clients begin after their lead, and the attack in the middle of it. */
  const phase = async (ms: number, during: () => Promise<void> = () => pause(ms)): Promise<readonly Visits[]> => {
    clients.write({ kind: 'begin' })
    await during()
    clients.write({ kind: 'end' })
    return (await clients.line<{ visits: readonly Visits[] }>(OUTCOME_TIMEOUT_MS)).visits
  }
  await phase(LEAD_MS + WARM_UP_MS)
  const alone = await phase(LEAD_MS + (seconds * 1000) / 2)
  const before = server.usage()
  let last = before
  let peak = before.residentBytes
  const sample = (): boolean => {
    if (!server.isRunning) return false
    try {
      last = server.usage()
    } catch {
      // It ended right now.
      return false
    }
    peak = Math.max(peak, last.residentBytes)
    return last.residentBytes < MAX_RESIDENT_BYTES
  }
  const attackMs = seconds * 1000 * (attackCase.patience ?? 1)
  const order = {
    ...attackCase.attack,
    port: ports[0] as number,
    seconds: attackMs / 1000 + MARGIN_SECONDS,
  } as AttackOrder
  const attacked = await phase(attackMs, async () => {
    await pause(LEAD_MS / 2)
    attacker.write(order)
    for (const until = performance.now() + attackMs; performance.now() < until && sample();) await pause(SAMPLE_MS)
  })
  attacker.write({})
  const tally = await attacker.line<AttackOutcome>(OUTCOME_TIMEOUT_MS)
  sample()
  return {
    alone,
    attacked,
    tally,
    residentBytes: { before: before.residentBytes, peak },
    cpuSeconds: cpuBetween(before, last),
    ending: server.ending,
  }
}

function serveArguments(
  { doors = ['smtp'], layout = 'fs', flags = [] }: AttackCase,
  store: string,
  checkout: string,
): string[] {
  const listen = doors.map((scheme) => `--listen=${scheme}://127.0.0.1:0`)
  const needsUsers = flags.includes('--auth-without-tls') || doors.includes('submission')
  const users = needsUsers ? [`--users=${USER.username}:${hashed(USER.password, checkout)}`] : []
  return ['serve', ...listen, `--store=${layout}:${store}`, '--hostname=mx.example.com', ...users, ...flags]
}

function hashed(password: string, checkout: string): string {
  const [file = '', ...args] = scriptCommand('node', join(checkout, 'apps/server/main.js'), checkout)
  return spawnSync(file, [...args, 'hash'], { input: password, encoding: 'utf8' }).stdout.trim()
}

function heapOf({ heapMiB }: AttackCase): Record<string, string> {
  const flag = `--max-old-space-size=${heapMiB}`
  return heapMiB === undefined ? {} : { NODE_OPTIONS: flag, DENO_V8_FLAGS: flag }
}

function clientsOrder({ clients }: AttackCase, ports: readonly number[]): ClientsOrder {
  return {
    kind: 'clients',
    clients: clients.map(({ door = 0, ...client }) => ({ ...client, port: ports[door] as number })),
  }
}

function directoriesIn(store: string): number {
  return readdirSync(store, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory()).length
}
