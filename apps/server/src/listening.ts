/** Addresses: listening on all of them, or on none and saying why. */
import type { Listener } from '@postern/engine'
import type { Acceptor } from '@postern/runtime/node'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { Logger } from '@logtape/logtape'
import type { Bound } from './announcement.ts'
import { errorCode, errorText, EXIT, Failure } from './failure.ts'
import type { ListenAddress } from './listen.ts'
import { proxyOverrides } from './proxies.ts'
import { loadRuntime } from './runtime.ts'
import type { Settings } from './settings.ts'

/** One address that is listened on. */
export interface Listening extends Bound {
  readonly listener: Listener
}

/** Listens on every address of the settings. @throws Failure when one can't be; the others are then closed again. */
export async function listenAll(
  server: Acceptor,
  settings: Settings,
  tls: TlsCredentials | undefined,
  log: Logger,
): Promise<Listening[]> {
  const { listen } = await loadRuntime()
  const { tlsHandshakeTimeoutMs, listen: addresses } = settings.options
  // Who comes by a Unix socket has no address to be trusted by.
  const byTcp = proxyOverrides(settings.options.proxyFrom)
  const listening: Listening[] = []
  for (const given of addresses) {
    const { host, port, path, pipePath, implicitTls, submission } = given
    try {
      if (pipePath !== undefined) {
        const listener = await listenOnPipe(server, given, pipePath, settings, tls, log)
        listening.push({ given, at: listener.address, listener })
        continue
      }
      const listener = await listen(server, {
        ...(path === undefined ? { port, ...(host === undefined ? {} : { host }) } : { path }),
        ...(tls === undefined ? {} : { tls, implicitTls, handshakeTimeoutMs: tlsHandshakeTimeoutMs }),
        overrides: {
          ...(submission ? { authRequired: true, tlsRequired: true } : {}),
          ...(path === undefined ? byTcp : {}),
        },
        error(error, remote) {
          if (remote === undefined) log.error('can not accept connections', { url: given.url, error })
          else
            log.info('TLS handshake failed', {
              remote: remote.address,
              remotePort: remote.port,
              reason: errorText(error),
            })
        },
      })
      listening.push({ given, at: listener.address, listener })
    } catch (error) {
      await closeAll(listening)
      throw cannotListen(settings, given, error)
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
  log: Logger,
): Promise<Listener> {
  // Who takes in no pipes need not load what that takes.
  const { listenForPipes } = await import('./pipe.ts')
  const { frontGuard } = await import('@postern/runtime/websocket')
  return listenForPipes(server, {
    host,
    port,
    pathname,
    tls: implicitTls ? tls : undefined,
    guard: frontGuard({ secrets: options.frontSecret }),
    handshakeTimeoutMs: options.tlsHandshakeTimeoutMs,
    error: (error) => log.error('can not accept connections', { url, error }),
    refused: (reason, { address, port: remotePort }) =>
      log.warn('a front was not let in', { remote: address, remotePort, reason }),
  })
}

/** Stops listening; connections live on. */
export async function closeAll(listening: readonly Listening[]): Promise<void> {
  await Promise.all(listening.map(({ listener }) => listener.close()))
}

function cannotListen(settings: Settings, { url, scheme, path }: ListenAddress, error: unknown): unknown {
  const code = errorCode(error)
  if (code === '') return error
  const other = path === undefined ? `${scheme}://127.0.0.1:0 for any port that is free` : 'another path'
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `the address is taken; stop what listens there, or give --listen ${other}`,
    EACCES: 'this user may not listen there; ports below 1024 are for root, or take a path that can be written',
    EADDRNOTAVAIL: 'this machine has no such address; smtp://*:PORT is every one it has',
    ENOTFOUND: 'there is no such host; give an address of this machine',
  }
  return new Failure(`${settings.spelled('listen')} ${url}: ${reasons[code] ?? errorText(error)}`, EXIT.misused, {
    cause: error,
  })
}
