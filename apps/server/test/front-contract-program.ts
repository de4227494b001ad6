/** Runs the contract of Duplex over WebSockets, and through a front, on the runtime that runs this: `node`, `deno run -A` or `bun run`. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import type { Duplex, Endpoint } from '@postern/engine'
import { selfSigned } from '@postern/runtime/tls'
import { frontGuard, opened, webSocketDuplex, type WebSocketLike } from '@postern/runtime/websocket'
import { getLogger } from '@logtape/logtape'
import { WebSocket as WsWebSocket, WebSocketServer } from 'ws'
import { contract, type MakePair } from '../../../test/contracts/duplex/duplex.ts'
import {
  attempt,
  contractOutcomes,
  type Kind,
  type Outcome,
  type PairKind,
  report,
} from '../../../test/contracts/outcome.ts'
import type { Sockets } from '../../../packages/runtime/test/sockets.ts'
import { Front } from '../src/front/front.ts'
import { listenForPipes } from '../src/serve/pipe.ts'
import { loadRuntime } from '../src/host/runtime.ts'
import { BARE, chosenOn, CLEAR, IMPLICIT, OWN, UPGRADED } from './front-kinds.ts'

const host = '127.0.0.1'
const secret = 'a secret of this test that is long enough'
const sockets = (await loadRuntime()) as unknown as Sockets
const certificate = await selfSigned()
const tls = { ca: certificate.cert }

/** Makes pairs one after the other, so that the ends belong together. */
function inTurn(makePair: MakePair): MakePair {
  let last: Promise<unknown> = Promise.resolve()
  return (lingerMs) => {
    const made = last.then(() => makePair(lingerMs))
    last = made.catch(() => {})
    return made
  }
}

/** Both ends are WebSockets, of any implementation. */
async function bare(dial: (url: string) => WebSocketLike): Promise<MakePair> {
  const http = createServer()
  const server = new WebSocketServer({ server: http, perMessageDeflate: false })
  await new Promise<void>((resolve) => http.listen(0, host, resolve))
  const local: Endpoint = { family: 'ipv4', address: host, port: (http.address() as AddressInfo).port }
  const remote: Endpoint = { family: 'ipv4', address: host, port: 1 }
  return inTurn(async (lingerMs) => {
    const near = new Promise<Duplex>((resolve) => {
      server.once('connection', (socket) =>
        resolve(webSocketDuplex(socket as WebSocketLike, { local, remote, lingerMs })),
      )
    })
    const socket = dial(`ws://${host}:${local.port}/`)
    const far = webSocketDuplex(socket, { local: remote, remote: local, lingerMs })
    await opened(socket, 5_000)
    return [await near, far]
  })
}

/** The server's end of a pipe, and a client that connected to the front. */
async function throughOneFront(implicitTls: boolean, lingerMs: number): Promise<MakePair> {
  let accepted: (duplex: Duplex) => void
  const behind = await listenForPipes(
    { accept: (duplex) => accepted(duplex) },
    {
      guard: frontGuard({ secrets: secret }),
      host,
      port: 0,
      pathname: '/pipe',
      handshakeTimeoutMs: 5_000,
      lingerMs,
      error: (error) => console.error(error),
      refused: (reason) => console.error(reason),
    },
  )
  const front = new Front({
    url: `ws://${host}:${behind.address.port}/pipe`,
    secret,
    hostname: 'front.example',
    connectTimeoutMs: 5_000,
    idleTimeoutMs: 60_000,
    sessionTimeoutMs: 60_000,
    maxConnections: 1_000,
    maxConnectionsPerAddress: 1_000,
    keepsForSubmission: false,
    log: getLogger(['postern']),
    lingerMs,
  })
  const listener = await sockets.listen(
    { accept: (duplex) => front.accept(duplex, false) },
    { host, port: 0, implicitTls, lingerMs, tls: certificate },
  )
  return inTurn(async () => {
    const near = new Promise<Duplex>((resolve) => {
      accepted = resolve
    })
    const far = await sockets.dial({ host, port: listener.address.port, implicitTls, lingerMs, tls })
    return [await near, far]
  })
}

/** A front for each `lingerMs`, which its connections share. */
function throughFront(implicitTls: boolean): MakePair {
  const byLinger = new Map<number, Promise<MakePair>>()
  return async (lingerMs) => {
    const makePair = byLinger.get(lingerMs) ?? throughOneFront(implicitTls, lingerMs)
    byLinger.set(lingerMs, makePair)
    return (await makePair)(lingerMs)
  }
}

function upgraded(makePair: MakePair): MakePair {
  return async (lingerMs) => {
    const [near, far] = await makePair(lingerMs)
    await Promise.all([near.startTls?.(), far.startTls?.()])
    return [near, far]
  }
}

/** Deno sends on another thread, which checks that all run at the same time keep waiting for longer than one of them waits. */
async function* oneByOne(subject: string, makePair: MakePair): AsyncGenerator<Outcome> {
  for (const { name: check, needsStartTls, run } of contract) {
    if (!needsStartTls) yield { subject, check, ...(await attempt(() => run(makePair))) }
  }
}

const runtime = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
const chosen = chosenOn(runtime).map(({ subject }) => subject)
const isChosen = ({ subject }: Kind): boolean => chosen.includes(subject)
const clear = throughFront(false)
const kinds: PairKind[] = [
  {
    ...BARE,
    makePair: await bare((url) => new WsWebSocket(url, { perMessageDeflate: false }) as WebSocketLike),
  },
  { ...CLEAR, makePair: clear },
  { ...UPGRADED, makePair: upgraded(clear) },
  { ...IMPLICIT, makePair: throughFront(true) },
]
await report(contractOutcomes(kinds.filter(isChosen)))
if (isChosen(OWN)) await report(oneByOne(OWN.subject, await bare((url) => new WebSocket(url) as WebSocketLike)))
// What a check left open is not waited for.
process.exit(0)
