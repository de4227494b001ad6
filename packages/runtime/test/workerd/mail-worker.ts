/** A server in workerd with every way for a socket to arrive. Its reply to a message contains the facts about it. */
import { DurableObject } from 'cloudflare:workers'
import type { Socket } from '@cloudflare/workers-types'
import { createServer, type Endpoint, reply } from '@postern/engine'
import { accept, dial, type DialOptions, handler, NOT_TOLD, peerOf } from '../../src/cloudflare/index.ts'

/** Made in the global scope when the Worker's module is loaded, so it must not need a request. */
const server = createServer({
  hostname: 'worker.example',
  limits: { maxConnections: 2_000, maxConnectionsPerAddress: 2_000 },
  async data(message, { remote, tls }) {
    const bytes = await message.bytes()
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
    const facts = { remote, isTls: tls !== undefined, trace: new TextDecoder().decode(message.trace) }
    return reply(250, '2.0.0', JSON.stringify({ ...facts, size: message.size, sha256: hex(digest) }))
  },
})

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

interface Stub {
  handle(socket: Socket, remote: Endpoint): Promise<void>
}

interface Env {
  readonly DOOR: 'worker' | 'implicit TLS' | 'object' | 'binding'
  readonly OBJECTS: { getByName(name: string): Stub }
  readonly MAIL: { connect(address: string): Socket }
}

const serve = handler(server)
const serveSecure = handler(server, { tls: NOT_TOLD })

export default {
  /** Dials, and returns the result. */
  async fetch(request: Request): Promise<Response> {
    const { abortAfterMs, ...options } = (await request.json()) as DialOptions & { abortAfterMs?: number }
    const signal = abortAfterMs === undefined ? undefined : AbortSignal.timeout(abortAfterMs)
    try {
      const duplex = await dial({ ...options, signal })
      duplex.destroy()
      return Response.json({ remote: duplex.remote, isTls: duplex.tls !== undefined })
    } catch (error) {
      const { name, code } = error as Error & { code?: unknown }
      return Response.json({ name, code: typeof code === 'string' ? code : '' })
    }
  },

  async connect(socket: Socket, env: Env): Promise<void> {
    switch (env.DOOR) {
      case 'worker':
        return serve(socket)
      case 'implicit TLS':
        return serveSecure(socket)
      case 'object': {
        const remote = await peerOf(socket)
        return env.OBJECTS.getByName('mail').handle(socket, remote)
      }
      case 'binding': {
        const inner = env.MAIL.connect('worker.example:25')
        await Promise.all([socket.readable.pipeTo(inner.writable), inner.readable.pipeTo(socket.writable)])
      }
    }
  },
}

export class Mailbox extends DurableObject {
  /** The socket has lost the address of its peer. */
  async handle(socket: Socket, remote: Endpoint): Promise<void> {
    await accept(server, socket, { remote })
  }
}
