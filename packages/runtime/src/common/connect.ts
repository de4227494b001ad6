/** Connects to a server as its client, on every runtime that dials. */
import type { Duplex, Endpoint } from '@postern/engine'
import type { Client, ClientErrorReason, ClientOptions, ServerAddress } from '@postern/engine/client'

/** Options of `connect` on every runtime. */
export interface ConnectBasics extends Omit<ClientOptions, 'hostname' | 'protocol'> {
  /** The name in EHLO or LHLO. Default: the system's name if it is a domain with a dot, otherwise the address that the client connects from. */
  readonly hostname?: string
  /** Bounds the attempt to connect: the name look-up, the connect, and the handshake of implicit TLS. Default 30,000. */
  readonly connectTimeoutMs?: number
  /** After QUIT, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number
}

/** A way to the server. */
export interface Route {
  /** Whether the connection may become TLS. */
  readonly mayUseTls: boolean
  /** Whether the server must show a certificate that this side trusts, and that has the server's name. */
  readonly isVerified: boolean
}

export interface ConnectDeps {
  dial(address: ServerAddress, route: Route): Promise<Duplex>
  /** Returns the system's name; '' if it is not known. */
  systemName(): string
}

/**
 * Connects and greets the server.
 * @param verify `tls.verify` of the options. Default: true with implicit TLS, with STARTTLS that is required, and with credentials.
 *   Mail between hosts encrypts without it, because a certificate that nobody checks is better than none.
 * @throws ClientError
 */
export async function connectBy(
  { dial, systemName }: ConnectDeps,
  server: string | ServerAddress,
  options: ConnectBasics,
  verify: boolean | undefined,
): Promise<Client> {
  // Loads the client when somebody needs it: a program that only listens starts without it.
  const { ClientError, openClient, parseServerUrl } = await import('@postern/engine/client')
  const address = typeof server === 'string' ? parseServerUrl(server) : server
  const { protocol, implicitTls } = address
  const startTls = implicitTls ? 'never' : (options.startTls ?? address.startTls)
  const credentials = options.credentials ?? address.credentials
  const route = {
    mayUseTls: implicitTls || startTls !== 'never',
    isVerified: verify ?? (implicitTls || startTls === 'required' || credentials !== undefined),
  }
  let duplex: Duplex
  try {
    duplex = await dial(address, route)
  } catch (error) {
    // A mistake of the caller stays what it is: a wrong option.
    if (error instanceof TypeError || error instanceof RangeError) throw error
    const reason = options.signal?.aborted === true ? 'aborted' : reasonOf(error, implicitTls)
    throw new ClientError(`cannot connect to ${placeOf(address)}: ${firstLine(error)}`, {
      stage: 'connect',
      reason,
      cause: error,
    })
  }
  return openClient(duplex, {
    ...options,
    hostname: options.hostname ?? ownName(systemName(), duplex.local),
    protocol,
    startTls,
    ...(credentials && { credentials }),
  })
}

/** OpenSSL's texts end with a line feed. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split(/[\r\n]/, 1)[0] ?? ''
}

function placeOf({ path, host, port }: ServerAddress): string {
  return path ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Returns a name for EHLO: a server may refuse one that is not a domain name with its domain (RFC 5321 4.1.4). */
function ownName(systemName: string, { family, address }: Endpoint): string {
  if (DOMAIN.test(systemName) && systemName.includes('.')) return systemName
  if (family === 'ipv4') return `[${address}]`
  return family === 'ipv6' ? `[IPv6:${address}]` : 'localhost'
}

const DOMAIN = /^[A-Za-z0-9][A-Za-z0-9.-]{0,253}[A-Za-z0-9]$/

/** A code of the system: ECONNREFUSED. Codes of TLS look different: CERT_HAS_EXPIRED, ERR_TLS_CERT_ALTNAME_INVALID. */
const SYSTEM_CODE = /^E[A-Z0-9]+$/

/** Returns why an attempt failed. */
function reasonOf(error: unknown, implicitTls: boolean): ClientErrorReason {
  const code = String((error as { readonly code?: unknown } | null)?.code ?? '')
  if (code === 'ETIMEDOUT') return 'timeout'
  const isSystems = SYSTEM_CODE.test(code) || code.startsWith('EAI_')
  return implicitTls && (!isSystems || code === 'EPROTO') ? 'tls' : 'closed'
}
