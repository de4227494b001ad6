/** Listens on all addresses. If one fails, listens on none and reports why. */
import { lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Endpoint, Listener } from '@postern/engine'
import type { Acceptor, ListenOptions } from '@postern/runtime/node'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { TokenMemory } from '@postern/runtime/websocket'
import { errorCode, errorText, EXIT, Failure } from '../host/failure.ts'
import type { Journal } from './logs/journal.ts'
import type { ListenAddress } from '../config/urls/listen-url.ts'
import { listenerOverrides } from '../config/urls/listener-policy.ts'
import { loadRuntime, runtimeName } from '../host/runtime.ts'
import type { Settings } from '../config/settings.ts'
import { passedSocket } from './passed-sockets.ts'

/** An address that the server listens on. */
export interface Bound {
  readonly given: ListenAddress
  /** The real address: instead of port 0 it has the port that the system chose. */
  readonly at: Endpoint
}

/** The same with its listener. */
export interface Listening extends Bound {
  readonly listener: Listener
}

/** How a worker listens together with the others. */
export interface Place {
  readonly workerCount: number
  /** True for the first worker. If only one worker can listen on an address, it is the first. */
  readonly isFirst: boolean
  /** The ports that the first worker got for port 0, in the order of the addresses. */
  readonly ports: readonly (number | undefined)[]
  /** Returns the memory of fronts' tokens that all workers share. Called only if an address is for fronts. */
  openTokens(): Promise<TokenMemory>
}

/** TLS handshakes at the same time at one address, in all workers. There are fewer if `maxConnections` is smaller. */
const MAX_HANDSHAKES = 500
const MIN_HANDSHAKES = 16
/** Linux's limit without the final NUL. Other systems allow a few bytes less. */
const MAX_SOCKET_PATH_BYTES = 107

/**
 * Listens on every address of the settings. A worker listens only on those that it can share.
 * @throws Failure if one address fails; then it closes the others
 */
export async function listenAll(
  server: Acceptor,
  settings: Settings,
  tls: TlsCredentials | undefined,
  journal: Journal,
  place?: Place,
): Promise<Listening[]> {
  const { listen } = await loadRuntime()
  const { options } = settings
  const { tlsHandshakeTimeoutMs, listen: addresses, maxConnections } = options
  const maxHandshakes = Math.min(MAX_HANDSHAKES, Math.max(MIN_HANDSHAKES, maxConnections))
  const listening: Listening[] = []
  let memory: TokenMemory | undefined
  for (const [i, given] of addresses.entries()) {
    const { pipePath, implicitTls } = given
    const isShared = place !== undefined && canBeShared(given)
    if (place !== undefined && !isShared && !place.isFirst) continue
    const port = place?.ports[i] ?? given.port
    const terms = {
      maxHandshakes: isShared ? Math.ceil(maxHandshakes / place.workerCount) : maxHandshakes,
      ...(isShared && { reusePort: true }),
    }
    try {
      if (pipePath !== undefined) {
        memory ??= await (place === undefined ? openTokens() : place.openTokens())
        const listener = await listenOnPipe(server, { ...given, port }, pipePath, settings, tls, journal, {
          ...terms,
          memory,
        })
        listening.push({ given, at: listener.address, listener })
        continue
      }
      const listener = await listen(server, {
        ...placeOf({ ...given, port }, settings),
        ...(tls === undefined ? {} : { tls, implicitTls, handshakeTimeoutMs: tlsHandshakeTimeoutMs }),
        ...terms,
        overrides: listenerOverrides(given, options),
        error(error, remote) {
          if (remote === undefined) journal.errors.listener(given.url, error)
          else journal.refusals.handshake(remote, error)
        },
      })
      listening.push({ given, at: listener.address, listener })
    } catch (error) {
      await closeAll(listening)
      throw await cannotListen(settings, given, error)
    }
  }
  return listening
}

/** Returns where to listen. @throws Failure if systemd has not passed the socket */
function placeOf(
  { url, host, port, path, socket, policy }: ListenAddress,
  { spelled }: Settings,
): Pick<ListenOptions, 'port' | 'host' | 'path' | 'mode' | 'fd'> {
  if (socket !== undefined) return { fd: passedSocket(socket, `${spelled('listen')} ${url}`) }
  if (path !== undefined) return { path, mode: policy.mode }
  return { port, ...(host !== undefined && { host }) }
}

async function listenOnPipe(
  server: Acceptor,
  { url, host, port, implicitTls, policy }: ListenAddress,
  pathname: string,
  { options }: Settings,
  tls: TlsCredentials | undefined,
  journal: Journal,
  { memory, ...terms }: { readonly memory: TokenMemory; readonly reusePort?: boolean; readonly maxHandshakes?: number },
): Promise<Listener> {
  // Loaded only if an address is for fronts.
  const { listenForPipes } = await import('./pipe.ts')
  const { frontGuard } = await import('@postern/runtime/websocket')
  return listenForPipes(server, {
    host,
    port,
    pathname,
    ...terms,
    overrides: {
      ...(policy.addresses !== undefined && { addresses: policy.addresses }),
      ...(policy.maxMessageBytes !== undefined && { maxMessageBytes: policy.maxMessageBytes }),
    },
    tls: implicitTls ? tls : undefined,
    guard: frontGuard({ secrets: options.frontSecret, memory }),
    handshakeTimeoutMs: options.tlsHandshakeTimeoutMs,
    error: (error) => journal.errors.listener(url, error),
    refused: (reason, remote) => journal.refusals.front(remote, reason),
  })
}

/** Makes one memory for all addresses. A client that replays a token can choose the address, because it writes the `Host` field. */
async function openTokens(): Promise<TokenMemory> {
  return (await import('@postern/runtime/websocket')).tokenMemory()
}

/** Returns whether several threads can listen on this address. They cannot on Unix sockets, nor with Bun's `node:http`. */
function canBeShared({ path, pipePath }: ListenAddress): boolean {
  return path === undefined && (pipePath === undefined || runtimeName !== 'bun')
}

/** Stops listening. Existing connections continue. */
export async function closeAll(listening: readonly Listening[]): Promise<void> {
  await Promise.all(listening.map(({ listener }) => listener.close()))
}

async function cannotListen(
  settings: Settings,
  { url, scheme, path, socket }: ListenAddress,
  error: unknown,
): Promise<unknown> {
  const code = errorCode(error)
  if (code === '') return error
  const place = `${settings.spelled('listen')} ${url}`
  if (socket !== undefined) {
    return new Failure(`${place}: it can't be served: ${errorText(error)}`, EXIT.misused, { cause: error })
  }
  const unfit = path === undefined ? undefined : await whyNoSocket(path)
  if (unfit !== undefined) return new Failure(`${place}: ${unfit}`, EXIT.misused, { cause: error })
  const other = path === undefined ? `${scheme}://127.0.0.1:0 for any free port` : 'another path'
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `the address is in use; stop the program that listens there, or give --listen ${other}`,
    EACCES:
      path === undefined
        ? 'this user may not listen there; ports below 1024 are for root'
        : 'this user may not create a socket there; give a path in a writable directory',
    EADDRNOTAVAIL: 'this machine has no such address; smtp://*:PORT listens on all its addresses',
    EAFNOSUPPORT: 'this machine has no addresses of that family; smtp://*:PORT listens on all its addresses',
    ENOTFOUND: 'there is no such host; give an address of this machine',
  }
  return new Failure(`${place}: ${reasons[code] ?? errorText(error)}`, EXIT.misused, { cause: error })
}

/** Returns why the Unix socket cannot be made. The runtimes' own error codes differ and are misleading. */
async function whyNoSocket(path: string): Promise<string | undefined> {
  const byteLength = Buffer.byteLength(path)
  if (byteLength > MAX_SOCKET_PATH_BYTES) {
    return `the path has ${byteLength} bytes; the path of a Unix socket has at most ${MAX_SOCKET_PATH_BYTES}`
  }
  const found = await lstat(path).catch(() => undefined)
  if (found !== undefined && !found.isSocket()) return 'there is a file that is not a socket; give another path'
  const directory = await stat(dirname(path)).catch((error: unknown) => errorCode(error))
  return directory === 'ENOENT' ? 'its directory does not exist; create it first' : undefined
}
