/** Addresses: listening on all of them, or on none and saying why. */
import { lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Endpoint, Listener } from '@postern/engine'
import type { Acceptor } from '@postern/runtime/node'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { TokenMemory } from '@postern/runtime/websocket'
import { errorCode, errorText, EXIT, Failure } from '../host/failure.ts'
import type { Journal } from './logs/journal.ts'
import type { ListenAddress } from '../config/urls/listen-url.ts'
import { proxyOverrides } from '../config/urls/proxies.ts'
import { loadRuntime, runtimeName } from '../host/runtime.ts'
import type { Settings } from '../config/settings.ts'

/** One address that is listened on. */
export interface Bound {
  readonly given: ListenAddress
  /** Where it really is: port 0 has become one. */
  readonly at: Endpoint
}

/** What listens there. */
export interface Listening extends Bound {
  readonly listener: Listener
}

/** How a worker listens where others do. */
export interface Place {
  readonly workerCount: number
  /** Of the workers: it alone listens where only one can. */
  readonly isFirst: boolean
  /** In the order of the addresses: the ports that were found where any was asked for. */
  readonly ports: readonly (number | undefined)[]
  /** Gives the memory of fronts' tokens that all workers share. Asked only where an address takes in pipes. */
  openTokens(): Promise<TokenMemory>
}

/** Handshakes at the same time at one address, in all workers; fewer where there are fewer places. */
const MAX_HANDSHAKES = 500
const MIN_HANDSHAKES = 16
/** Of Linux, without the octet that ends it; other systems have a few less. */
const MAX_SOCKET_PATH_BYTES = 107

/** Listens on every address of the settings, or as a worker where it can. @throws Failure when one can't be; the others are then closed again. */
export async function listenAll(
  server: Acceptor,
  settings: Settings,
  tls: TlsCredentials | undefined,
  journal: Journal,
  place?: Place,
): Promise<Listening[]> {
  const { listen } = await loadRuntime()
  const { tlsHandshakeTimeoutMs, listen: addresses, maxConnections } = settings.options
  const maxHandshakes = Math.min(MAX_HANDSHAKES, Math.max(MIN_HANDSHAKES, maxConnections))
  // Who comes by a Unix socket has no address to be trusted by.
  const byTcp = proxyOverrides(settings.options.proxyFrom)
  const listening: Listening[] = []
  let memory: TokenMemory | undefined
  for (const [i, given] of addresses.entries()) {
    const { host, path, pipePath, implicitTls, submission } = given
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
        ...(path === undefined ? { port, ...(host === undefined ? {} : { host }) } : { path }),
        ...(tls === undefined ? {} : { tls, implicitTls, handshakeTimeoutMs: tlsHandshakeTimeoutMs }),
        ...terms,
        overrides: {
          ...(submission ? { authRequired: true, tlsRequired: true } : {}),
          ...(path === undefined ? byTcp : {}),
        },
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

async function listenOnPipe(
  server: Acceptor,
  { url, host, port, implicitTls }: ListenAddress,
  pathname: string,
  { options }: Settings,
  tls: TlsCredentials | undefined,
  journal: Journal,
  { memory, ...terms }: { readonly memory: TokenMemory; readonly reusePort?: boolean; readonly maxHandshakes?: number },
): Promise<Listener> {
  // Who takes in no pipes need not load what that takes.
  const { listenForPipes } = await import('./pipe.ts')
  const { frontGuard } = await import('@postern/runtime/websocket')
  return listenForPipes(server, {
    host,
    port,
    pathname,
    ...terms,
    tls: implicitTls ? tls : undefined,
    guard: frontGuard({ secrets: options.frontSecret, memory }),
    handshakeTimeoutMs: options.tlsHandshakeTimeoutMs,
    error: (error) => journal.errors.listener(url, error),
    refused: (reason, remote) => journal.refusals.front(remote, reason),
  })
}

/** One for all addresses, because whoever replays a token chooses the address: its `Host` field is theirs to write. */
async function openTokens(): Promise<TokenMemory> {
  return (await import('@postern/runtime/websocket')).tokenMemory()
}

/** Whether the system shares connections out among several that listen there: not on Unix sockets, and not by Bun's `node:http`. */
function canBeShared({ path, pipePath }: ListenAddress): boolean {
  return path === undefined && (pipePath === undefined || runtimeName !== 'bun')
}

/** Stops listening; connections live on. */
export async function closeAll(listening: readonly Listening[]): Promise<void> {
  await Promise.all(listening.map(({ listener }) => listener.close()))
}

async function cannotListen(
  settings: Settings,
  { url, scheme, path }: ListenAddress,
  error: unknown,
): Promise<unknown> {
  const code = errorCode(error)
  if (code === '') return error
  const place = `${settings.spelled('listen')} ${url}`
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

/** Why there can be no Unix socket; each runtime has another code for each of these, and not the right one. */
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
