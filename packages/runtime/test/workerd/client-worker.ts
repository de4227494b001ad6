/** The contract of the client in workerd: one service is the client, and each of the others is a server with its own socket. */
import type { Socket } from '@cloudflare/workers-types'
import { createServer } from '@postern/engine'
import type { Way } from '../../../../test/contracts/client/check.ts'
import { clientOutcomes } from '../../../../test/contracts/client/client.ts'
import { contractServer } from '../../../../test/contracts/client/server.ts'
import type { Outcome } from '../../../../test/contracts/outcome.ts'
import { sample } from '../../../../test/kit/sample.ts'
import { accept, connect, NOT_TOLD } from '../../src/cloudflare/index.ts'

interface Env {
  readonly WAY: Way
}

/** Cuts of the server's bytes. Node makes all of them. */
const SOME_CUTS = 40

const server = createServer(contractServer())
const old = createServer(contractServer(true))

export default {
  async connect(socket: Socket, { WAY }: Env): Promise<void> {
    await accept(WAY === 'old server' ? old : server, socket, {
      ...(WAY === 'implicit TLS' && { tls: NOT_TOLD }),
      overrides: WAY === 'LMTP' ? { protocol: 'lmtp' } : {},
    })
  },

  /** Runs the checks, and answers with the outcomes. The request names the servers. */
  async fetch(request: Request): Promise<Response> {
    const ground = {
      urls: (await request.json()) as Readonly<Record<Way, string>>,
      certificate: { key: '', cert: '' },
      connect: (url: string, options: Partial<Parameters<typeof connect>[1]> = {}) =>
        connect(url, {
          hostname: 'client.postern.example',
          ...options,
          tls: { servername: options.tls?.servername ?? 'localhost' },
        }),
    }
    const outcomes: Outcome[] = []
    for await (const outcome of clientOutcomes('workerd', ground, (places) => sample(places, SOME_CUTS)))
      outcomes.push(outcome)
    return Response.json(outcomes)
  },
}
