/** Another Worker, which has two bindings of Postern's: its door for other Workers, and the Worker as such. */
import type { Peer } from '../src/peer.ts'

interface Env {
  readonly POSTERN: { accept(socket: Socket, peer?: Peer): Promise<void> }
  readonly PLAIN: { connect(address: string): Socket }
  /** Who comes to this port is handed on by `connect`, without a word of who they are. */
  readonly PLAIN_PORT: number
}

const gate: ExportedHandler<Env> = {
  async connect(socket, env) {
    const { localAddress } = await socket.opened
    if (localAddress?.endsWith(`:${env.PLAIN_PORT}`) !== true) {
      return env.POSTERN.accept(socket, { address: '2001:db8::7', port: 40_123 })
    }
    const inner = env.PLAIN.connect('postern:25')
    await Promise.all([socket.readable.pipeTo(inner.writable), inner.readable.pipeTo(socket.writable)])
  },
}

export default gate
