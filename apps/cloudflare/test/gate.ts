/** Another Worker with two bindings of Postern: its entry point for other Workers, and the Worker itself. */
import type { Peer } from '@postern/worker'

interface Env {
  readonly POSTERN: { accept(socket: Socket, peer?: Peer): Promise<void> }
  readonly PLAIN: { connect(address: string): Socket }
  /** Connections to this port are passed on by `connect`, without the client's address. */
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
