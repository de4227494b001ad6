/** Listens on a port, or serves on a listener or a socket that the caller made. */
import type { Endpoint, Listener } from '@postern/engine'
import { createServer, type Server, type Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { unixEndpoint } from '../common/endpoint.ts'
import {
  type Acceptor,
  checkListen,
  type ConnectionOptions,
  type ListenOptions,
  type ServeOptions,
} from '../sockets/inbound.ts'
import { ListenerCore } from '../sockets/listener-core.ts'
import { paced } from '../sockets/paced.ts'
import { removeStale, setMode } from '../sockets/unix-socket.ts'
import { NodeDuplex, type NodeDuplexDeps, SOCKET_BUFFER_BYTES } from './duplex.ts'
import { listenerEndpoint, remoteEndpoint } from './endpoint.ts'
import { checkHosts, handshake } from './handshake.ts'

/**
 * Listens, and hands each connection to `server`.
 * Rejects with Node's error and its `code` (EADDRINUSE, EACCES …), or with CertificateError.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  const { port, host, path, mode, fd, backlog, reusePort } = options
  checkListen(options)
  const core = new ListenerCore(server, options)
  const listener = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES })
  const where = {
    ...(fd !== undefined ? { fd } : path === undefined ? { port } : { path }),
    ...(host === undefined ? {} : { host }),
    ...(backlog === undefined ? {} : { backlog }),
    ...(reusePort === undefined ? {} : { reusePort }),
  }
  try {
    await bind(listener, where)
  } catch (error) {
    if (path === undefined || !(await removeStale(error, path))) throw error
    await bind(listener, where)
  }
  try {
    if (path !== undefined) setMode(path, mode)
  } catch (error) {
    listener.close()
    throw error
  }
  // Node does not tell the path of a Unix socket that another process has made.
  return attach(core, listener, fd !== undefined && listener.address() === null ? unixEndpoint() : undefined)
}

/** Serves on a listener that the caller made: a `net.Server` or a `tls.Server`. `close` closes that too. */
export function serve(server: Acceptor, listener: Server, options: ServeOptions = {}): Listener {
  return attach(new ListenerCore(server, options), listener)
}

/**
 * Serves a socket that the caller accepted. Resolves with the result of `server.accept` when the session is over.
 * Rejects if the handshake of implicit TLS fails.
 */
export async function adopt(server: Acceptor, socket: Socket, options: ConnectionOptions = {}): Promise<void> {
  const core = new ListenerCore(server, options)
  await core.serve(new NodeDuplex(socket, depsOf(core), remoteEndpoint(socket)))
}

function bind(listener: Server, where: object): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(where, () => {
      listener.off('error', reject)
      resolve()
    })
  })
}

/** @param known Its address, if the listener itself does not tell it */
function attach(core: ListenerCore, listener: Server, known?: Endpoint): Listener {
  const deps = depsOf(core)
  let address = known ?? listenerEndpoint(listener.address())
  const isUnix = (): boolean => {
    // A listener that the caller made may begin to listen later.
    if (address.family === 'unknown') address = listenerEndpoint(listener.address())
    return address.family === 'unix'
  }
  const take = (socket: Socket): void => {
    if (isUnix()) return core.take(new NodeDuplex(socket, deps, unixEndpoint(), address))
    const remote = remoteEndpoint(socket)
    // The client has reset the connection already.
    if (remote.family === 'unknown') socket.destroy()
    else core.take(new NodeDuplex(socket, deps, remote))
  }
  const event = listener instanceof TlsServer ? 'secureConnection' : 'connection'
  listener.on(event, take)
  listener.on('error', paced(core.report))
  return {
    get address() {
      isUnix()
      return address
    },
    async close() {
      listener.off(event, take)
      core.close()
      if (listener.listening) listener.close()
    },
  }
}

/** @throws TypeError */
function depsOf({ credentials, lingerMs }: ListenerCore): NodeDuplexDeps {
  if (credentials !== undefined) checkHosts(credentials.current)
  return { handshake: credentials && ((socket) => handshake(socket, credentials.current)), lingerMs }
}
