/** The servers that are compared, and how each one is started. */
import { dirname, join, resolve } from 'node:path'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { freePort } from '../kit/port.ts'
import { pathOf } from '../kit/tool.ts'
import { CORES, Program } from './programs.ts'
import { workerdArguments } from './servers/workerd/serve.ts'

export type Runtime = 'node' | 'bun' | 'deno' | 'workerd'

export interface ServerEntry {
  readonly name: string
  readonly kind: 'barest' | 'postern' | 'smtp-server' | 'smtp-sink' | 'naive-fs'
  /** Undefined for what is not JavaScript. */
  readonly runtime: Runtime | undefined
  /** What Postern does with messages. */
  readonly store?: Store
  /** It speaks CHUNKING. */
  readonly chunking: boolean
  /** It can do STARTTLS and AUTH here. */
  readonly secure: boolean
}

export type Store = 'discard' | 'hash' | 'memory' | 'fs' | 'packed'

/** What a server is started with, where a shape needs it. */
export interface Surroundings {
  /** An empty directory of its own. */
  readonly directory: string
  readonly tls: { readonly keyFile: string; readonly certFile: string } | undefined
  /** More of the command line. */
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface RunningServer {
  readonly port: number
  readonly program: Program
}

/** This checkout. */
export const ROOT: string = resolve(import.meta.dirname, '../..')

/** The runtimes that a checkout pins, without the scripts in front of some of them. */
function binariesOf(checkout: string): Readonly<Record<Runtime, string>> {
  const require = createRequire(join(checkout, 'package.json'))
  const within = (name: string, path: string): string => join(dirname(require.resolve(`${name}/package.json`)), path)
  return {
    node: within('node', 'bin/node'),
    bun: within('bun', 'bin/bun.exe'),
    deno: within('deno', 'deno'),
    workerd: require.resolve('workerd/bin/workerd'),
  }
}

export const BINARIES: Readonly<Record<Runtime, string>> = binariesOf(ROOT)

const ARGUMENTS: Readonly<Record<Exclude<Runtime, 'workerd'>, readonly string[]>> = {
  node: [],
  bun: ['run'],
  deno: ['run', '--quiet', '--allow-all', '--unstable-net'],
}
const START_TIMEOUT_MS = 20_000
const SINK_BACKLOG = '4096'
/** More than smtp-sink is ever asked to take. */
const SINK_CONNECTIONS = '20000'

const SERVER_RUNTIMES = ['node', 'bun', 'deno'] as const
const STORES: readonly Store[] = ['discard', 'hash', 'memory', 'fs', 'packed']
/** `fs` is a Durable Object's disk there. */
const WORKERD_STORES: readonly Store[] = ['discard', 'memory', 'fs']

function postern(runtime: Runtime, store: Store): ServerEntry {
  // workerd's own TLS would be a matter of its configuration.
  const secure = runtime !== 'workerd'
  return { name: `postern-${runtime}-${store}`, kind: 'postern', runtime, store, chunking: true, secure }
}

export const SERVERS: readonly ServerEntry[] = [
  ...SERVER_RUNTIMES.flatMap((runtime): ServerEntry[] => [
    { name: `barest-${runtime}`, kind: 'barest', runtime, chunking: true, secure: runtime === 'node' },
    ...STORES.map((store) => postern(runtime, store)),
  ]),
  { name: 'barest-workerd', kind: 'barest', runtime: 'workerd', chunking: true, secure: false },
  ...WORKERD_STORES.map((store) => postern('workerd', store)),
  { name: 'smtp-server-node', kind: 'smtp-server', runtime: 'node', chunking: false, secure: true },
  { name: 'smtp-server-bun', kind: 'smtp-server', runtime: 'bun', chunking: false, secure: true },
  { name: 'smtp-sink', kind: 'smtp-sink', runtime: undefined, chunking: false, secure: false },
  { name: 'naive-fs', kind: 'naive-fs', runtime: 'node', chunking: false, secure: false },
]

/** Why a server cannot run on this machine; undefined if it can. */
export function missing(entry: ServerEntry): string | undefined {
  if (entry.kind !== 'smtp-sink' || pathOf('smtp-sink') !== undefined) return undefined
  return "smtp-sink is not installed (Debian's postfix has it)"
}

/** Starts a server on its core. It takes connections when the promise resolves. */
export async function startServer(entry: ServerEntry, surroundings: Surroundings): Promise<RunningServer> {
  if (entry.kind === 'smtp-sink') return startSink()
  if (entry.runtime === 'workerd') return startWorkerd(entry, surroundings)
  const program = new Program(commandOf(entry, surroundings), { core: CORES.server, env: surroundings.env })
  const { port } = await program.line<{ port: number }>(START_TIMEOUT_MS)
  return { port, program }
}

/** Returns how a script is run, with the runtime that its checkout pins. A path is absolute, or relative to this folder. */
export function scriptCommand(runtime: Exclude<Runtime, 'workerd'>, path: string, checkout: string = ROOT): string[] {
  const binaries = checkout === ROOT ? BINARIES : binariesOf(checkout)
  return [binaries[runtime], ...ARGUMENTS[runtime], resolve(import.meta.dirname, path)]
}

function commandOf(entry: ServerEntry, { directory, tls, flags: more }: Surroundings): string[] {
  const { kind, runtime, store } = entry
  if (runtime === undefined || runtime === 'workerd') throw new Error(`${entry.name} is no script`)
  const flags = tls === undefined ? [...more] : [...more, `--key-file=${tls.keyFile}`, `--cert-file=${tls.certFile}`]
  switch (kind) {
    case 'barest':
      return [...scriptCommand(runtime, `servers/barest-${runtime}.ts`), ...flags]
    case 'postern':
      flags.push(`--store=${store}`, ...(store === 'fs' || store === 'packed' ? [`--directory=${directory}`] : []))
      return [...scriptCommand(runtime, 'servers/postern.ts'), ...flags]
    case 'naive-fs':
      return [...scriptCommand(runtime, 'servers/naive-fs.ts'), `--directory=${directory}`]
    default:
      return [...scriptCommand(runtime, 'servers/smtp-server.ts'), ...flags]
  }
}

async function startWorkerd({ kind, store }: ServerEntry, { directory }: Surroundings): Promise<RunningServer> {
  const worker = kind === 'barest' ? 'barest' : 'postern'
  const command = [BINARIES.workerd, ...(await workerdArguments({ worker, store, directory }))]
  const program = new Program(command, { core: CORES.server, linesFrom: 3 })
  const { port } = await program.line<{ port: number }>(START_TIMEOUT_MS)
  return { port, program }
}

/** It tells nobody when it listens. */
async function startSink(): Promise<RunningServer> {
  const port = await freePort()
  const sink = pathOf('smtp-sink') ?? 'smtp-sink'
  // Root has to say whose rights it takes.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const command = [sink, ...user, '-m', SINK_CONNECTIONS, `127.0.0.1:${port}`, SINK_BACKLOG]
  const program = new Program(command, { core: CORES.server })
  await listening(port)
  return { port, program }
}

const LISTEN_TRIES = 200
const LISTEN_PAUSE_MS = 25

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < LISTEN_TRIES; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('error', () => resolve(false))
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, LISTEN_PAUSE_MS))
  }
  throw new Error(`nobody listens on port ${port}`)
}
