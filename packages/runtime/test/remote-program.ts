/**
 * Listens and dials in the runtime that runs this, `node`, `deno run -A` or `bun run`, for a test that runs elsewhere.
 * It reads its orders and writes the results as lines of JSON. `remote.ts` is the other side.
 */
import type { Duplex, Listener } from '@postern/engine'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { TlsCredentials } from '../src/sockets/tls/index.ts'
import { converse } from './converse.ts'
import type { Answer, Call, DuplexFacts, Facts, Told } from './remote.ts'
import type { Sockets } from './sockets.ts'

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const sockets = (await import(`../src/${runtime}/index.ts`)) as Sockets
const listeners = new Map<number, Listener>()
const credentials = new Map<number, TlsCredentials>()
const duplexes: Duplex[] = []
const attempts = new Map<number, AbortController>()

function tell(told: Told | Answer): void {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

function told(error: unknown): Facts {
  const { name, message, code, byteLength } = error as Error & { code?: string; byteLength?: number }
  return typeof error === 'object' ? { name, message, code, byteLength } : { name: 'thrown', message: String(error) }
}

function factsOf(duplex: Duplex): DuplexFacts {
  const number = duplexes.push(duplex) - 1
  const { remote, local, tls } = duplex
  return { number, remote, local, tls, hasStartTls: duplex.startTls !== undefined }
}

async function listen(call: Call): Promise<unknown> {
  const { listener, options = {} } = call
  const { tls } = options
  const shared = tls && new TlsCredentials(tls)
  const opened = await sockets.listen(
    {
      accept:
        call.converses === true
          ? converse
          : (duplex, overrides) => tell({ event: 'accept', listener, duplex: factsOf(duplex), overrides }),
    },
    {
      ...options,
      tls: shared,
      error: (error, remote) => tell({ event: 'error', listener, error: told(error), remote }),
    },
  )
  listeners.set(listener, opened)
  if (shared !== undefined) credentials.set(listener, shared)
  return opened.address
}

async function dial(call: Call): Promise<DuplexFacts> {
  const controller = new AbortController()
  attempts.set(call.id, controller)
  if (call.reason !== undefined) controller.abort(call.reason)
  const options = { ...call.dial, signal: controller.signal }
  return factsOf(await sockets.dial(options as Parameters<Sockets['dial']>[0]))
}

async function use(call: Call): Promise<unknown> {
  const duplex = duplexes[call.duplex] as Duplex
  if (call.busyMs !== undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, call.busyMs)
  const bytes = call.bytes === undefined ? undefined : Buffer.from(call.bytes, 'base64')
  switch (call.name) {
    case 'read': {
      const chunk = await duplex.read()
      return chunk && Buffer.from(chunk).toString('base64')
    }
    case 'write':
      return duplex.write(bytes ?? new Uint8Array())
    case 'startTls': {
      const info = await duplex.startTls?.(bytes)
      if (info !== duplex.tls || duplex.startTls !== undefined) throw new Error('startTls left the duplex as it was')
      return info
    }
    case 'end':
      return duplex.end()
    case 'destroy':
      return duplex.destroy()
  }
}

async function run(call: Call): Promise<unknown> {
  switch (call.name) {
    case 'listen':
      return listen(call)
    case 'close':
      return listeners.get(call.listener)?.close()
    case 'update':
      return credentials.get(call.listener)?.update(call.options?.tls ?? { key: '', cert: '' })
    case 'dial':
      return dial(call)
    case 'ping':
      return
    case 'abort':
      return attempts.get(call.duplex)?.abort(call.reason)
    default:
      return use(call)
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line) as Call
  run(call).then(
    (result) => tell({ id: call.id, result }),
    (error: unknown) => tell({ id: call.id, error: told(error) }),
  )
}
process.exit(0)
