/** Listening on a port or a Unix socket. */
import type { Endpoint, Listener } from '@postern/engine'
import { lookup } from 'node:dns/promises'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'
import { type Acceptor, checkListen, type ListenOptions } from '../sockets/inbound.ts'
import { ListenerCore } from '../sockets/listener-core.ts'
import { removeStale, setMode } from '../sockets/unix-socket.ts'
import { bun, type BunListener, type BunSocket } from './api.ts'
import { type Attached, BunDuplex, type BunDuplexDeps, HANDLERS } from './duplex.ts'
import { inheritedEndpoint } from './inherited.ts'
import { systemError } from './system-error.ts'
import { serverSide } from './tls-side.ts'

/**
 * Listens, and hands each connection to `server`.
 * Rejects with Bun's error and its `code` (EADDRINUSE, EACCES …), or with CertificateError.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  checkListen(options)
  if (options.backlog !== undefined) throw new TypeError('backlog: Bun does not support it')
  const core = new ListenerCore(server, options)
  const { path, mode, host = '*', port, fd } = options
  try {
    if (fd !== undefined) return await listenOnInherited(core, fd)
    return await (path === undefined ? listenOnPort(core, options) : listenOnPath(core, path, mode))
  } catch (error) {
    throw systemError(error, fd === undefined ? (path ?? `${host}:${port}`) : `fd ${fd}`)
  }
}

async function listenOnPort(core: ListenerCore, { host, port = 0, reusePort }: ListenOptions): Promise<Listener> {
  const take = taker(core)
  const open = (hostname: string): BunListener =>
    bun().listen({
      hostname,
      port,
      allowHalfOpen: true,
      ...(reusePort === undefined ? {} : { reusePort }),
      data: undefined,
      socket: { ...HANDLERS, open: (socket) => take(socket, remoteEndpoint(socket), localEndpoint(socket)) },
    })
  const listener = host === undefined ? openEverywhere(open) : open((await lookup(host)).address)
  return attach(core, listener, ipEndpoint(listener.hostname, listener.port))
}

/** Listens on IPv6, which takes IPv4 too. Listens on IPv4 alone if the system has no IPv6. */
function openEverywhere(open: (hostname: string) => BunListener): BunListener {
  try {
    return open('::')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Bun gives no code if the kernel cannot make any IPv6 socket.
    if (code !== undefined && code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error
    return open('0.0.0.0')
  }
}

async function listenOnPath(core: ListenerCore, path: string, mode: number | undefined): Promise<Listener> {
  const address = unixEndpoint(path)
  const take = taker(core)
  const open = (): BunListener => {
    const listener = bun().listen({
      unix: path,
      allowHalfOpen: true,
      data: undefined,
      socket: { ...HANDLERS, open: (socket) => take(socket, unixEndpoint(), address) },
    })
    try {
      setMode(path, mode)
      return listener
    } catch (error) {
      listener.stop()
      throw error
    }
  }
  try {
    return attach(core, open(), address)
  } catch (error) {
    if (!(await removeStale(error, path))) throw error
    return attach(core, open(), address)
  }
}

async function listenOnInherited(core: ListenerCore, fd: number): Promise<Listener> {
  const address = await inheritedEndpoint(fd)
  const take = taker(core)
  const isUnix = address.family === 'unix'
  const listener = bun().listen<Attached>({
    fd,
    allowHalfOpen: true,
    data: undefined,
    socket: {
      ...HANDLERS,
      open: (socket) =>
        isUnix ? take(socket, unixEndpoint(), address) : take(socket, remoteEndpoint(socket), localEndpoint(socket)),
    },
  })
  return attach(core, listener, address)
}

function attach(core: ListenerCore, listener: BunListener, address: Endpoint): Listener {
  return {
    address,
    async close() {
      core.close()
      listener.stop()
    },
  }
}

type Take = (socket: BunSocket<Attached>, remote: Endpoint, local: Endpoint) => void

function taker(core: ListenerCore): Take {
  const { credentials, lingerMs } = core
  const deps: BunDuplexDeps = { tls: credentials && (() => serverSide(credentials.current)), lingerMs }
  return (socket, remote, local) => {
    // The client has reset the connection already, or it was in the backlog when the listener was closed.
    if (remote.family === 'unknown' || core.isClosed) socket.close()
    else core.take(new BunDuplex(socket, deps, remote, local))
  }
}

function remoteEndpoint({ remoteAddress, remotePort }: BunSocket<unknown>): Endpoint {
  return ipEndpoint(remoteAddress, remotePort)
}

function localEndpoint({ localAddress, localPort }: BunSocket<unknown>): Endpoint {
  return ipEndpoint(localAddress, localPort)
}
