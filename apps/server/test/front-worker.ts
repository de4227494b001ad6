/**
 * A Worker behind a front. It receives mail through a pipe and remembers it. It also runs the contract of Duplex over a
 * WebSocketPair.
 */
import type { WebSocket as WorkerSocket } from '@cloudflare/workers-types'
import { createServer } from '@postern/engine'
import {
  acceptPipe,
  frontGuard,
  pipeOverrides,
  PipeRefusedError,
  webSocketDuplex,
  type WebSocketLike,
} from '@postern/runtime/websocket'
import { createHash } from 'node:crypto'
import { contractOutcomes, type Outcome } from '../../../test/contracts/outcome.ts'

/** The part of a Worker's global scope that is used here. */
declare const WebSocketPair: new () => { readonly 0: WorkerSocket; readonly 1: WorkerSocket }

interface Env {
  readonly SECRET: string
}

const near = { family: 'unknown', address: '', port: 1 } as const
const far = { family: 'unknown', address: '', port: 2 } as const
const kept: unknown[] = []

const server = createServer({
  hostname: 'worker.example',
  limits: { maxMessageBytes: 50_000_000 },
  async data({ body }, { remote, local, tls, transmissionType }) {
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of body) {
      hash.update(chunk)
      size += chunk.byteLength
    }
    kept.push({ remote, local, tls, transmissionType, size, sha256: hash.digest('hex') })
  },
})
let guard: ReturnType<typeof frontGuard> | undefined

export default {
  async fetch(request: Request, { SECRET }: Env): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/kept') return Response.json(kept)
    if (pathname === '/pipe') return pipe(request, SECRET)
    const outcomes: Outcome[] = []
    for await (const outcome of contractOutcomes([{ subject: 'WebSocket', makePair }])) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}

async function pipe(request: Request, secret: string): Promise<Response> {
  guard ??= frontGuard({ secrets: secret })
  try {
    const facts = await guard.admit(request)
    const { 0: theirs, 1: ours } = new WebSocketPair()
    ours.accept()
    void server.accept(acceptPipe(ours as unknown as WebSocketLike, facts), pipeOverrides(facts))
    return new Response(null, { status: 101, webSocket: theirs } as ResponseInit)
  } catch (error) {
    if (error instanceof PipeRefusedError) return new Response(null, { status: error.status })
    throw error
  }
}

async function makePair(lingerMs: number) {
  const { 0: one, 1: other } = new WebSocketPair()
  one.accept()
  other.accept()
  return [
    webSocketDuplex(one as unknown as WebSocketLike, { local: near, remote: far, lingerMs }),
    webSocketDuplex(other as unknown as WebSocketLike, { local: far, remote: near, lingerMs }),
  ] as const
}
