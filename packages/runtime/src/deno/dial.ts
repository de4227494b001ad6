/** Connects with `Deno.connect`. */
import type { Duplex } from '@postern/engine'
import { isIP } from 'node:net'
import { checkDial, type DialOptions, type DialTlsOptions, withinOptions } from '../sockets/outbound.ts'
import { unixEndpoint } from '../common/endpoint.ts'
import { checkRuntime, deno, type DenoConnection } from './api.ts'
import { DenoDuplex } from './duplex.ts'
import { endpoint } from './endpoint.ts'
import { withCode } from './errors.ts'
import { clientHandshake, type Handshake } from './handshake.ts'
import { checkDialTls } from './options.ts'

/** With implicit TLS, nothing was received in clear. */
const NOTHING = new Uint8Array(0)

/** Connects. Rejects with an error that has Node's `code` (ETIMEDOUT if it took too long), or with the signal's reason. */
export async function dial(options: DialOptions): Promise<Duplex> {
  checkRuntime()
  checkDial(options)
  if (options.tls !== undefined) checkDialTls(options.tls)
  const givenUp = new AbortController()
  try {
    return await withinOptions(establish(options, givenUp.signal), options)
  } catch (error) {
    givenUp.abort()
    throw withCode(error)
  }
}

async function establish(options: DialOptions, givenUp: AbortSignal): Promise<Duplex> {
  const { tls, path, implicitTls = false, lingerMs = 5_000 } = options
  const connection = await connect(options, givenUp)
  const [remote, local] =
    path === undefined
      ? [endpoint(connection.remoteAddr), endpoint(connection.localAddr)]
      : [unixEndpoint(path), unixEndpoint()]
  const handshake = tls && secure(tls, options.host ?? 'localhost')
  const duplex = new DenoDuplex(connection, { handshake, lingerMs }, remote, local)
  if (!implicitTls || duplex.startTls === undefined) return duplex
  const giveUp = (): void => duplex.destroy()
  givenUp.addEventListener('abort', giveUp)
  await duplex.startTls(NOTHING)
  givenUp.removeEventListener('abort', giveUp)
  return duplex
}

async function connect(options: DialOptions, givenUp: AbortSignal): Promise<DenoConnection> {
  const { host = 'localhost', port = 0, path } = options
  const connection = await (path === undefined
    ? deno.connect({ hostname: host, port, signal: givenUp })
    : deno.connect({ transport: 'unix', path }))
  if (!givenUp.aborted) return connection
  connection.close()
  throw new Error('the attempt was given up')
}

function secure(options: DialTlsOptions, host: string): Handshake {
  // An IP address is never sent as the server name (RFC 6066 3), but the certificate is checked against it.
  return (stream) => clientHandshake(stream, { servername: isIP(host) === 0 ? host : '', ...options, host })
}
