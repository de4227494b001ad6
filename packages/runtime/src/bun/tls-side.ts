/** The two sides of a TLS handshake: the options of each, and why each may refuse the connection afterwards. */
import { isIP } from 'node:net'
import { checkServerIdentity, createSecureContext, type SecureContext } from 'node:tls'
import { type CheckedTls, contextFor } from '../sockets/tls/credentials.ts'
import type { DialTlsOptions } from '../sockets/outbound.ts'
import type { BunSocket, NativeContext, UpgradeTls } from './api.ts'

export interface TlsSide {
  readonly isServer: boolean
  readonly tls: UpgradeTls
  /** Other certificates, by the host name that the client asks for. */
  contextFor(name: string): NativeContext | undefined
  /** Returns why the connection is refused after its handshake, or undefined if it is not. */
  refusal(socket: BunSocket<unknown>, isDone: boolean, error: Error | null): Error | undefined
  /** Returns whether the peer's certificate chains to an authority that this side trusts, and has the name that was dialled. */
  isVerified(socket: BunSocket<unknown>): boolean
}

const servers = new WeakMap<CheckedTls, TlsSide>()

/** Makes the server's side with these certificates. */
export function serverSide(checked: CheckedTls): TlsSide {
  let side = servers.get(checked)
  if (side === undefined) servers.set(checked, (side = makeServerSide(checked)))
  return side
}

function makeServerSide({ options, context, hosts }: CheckedTls): TlsSide {
  const { clientCertificates = 'none', alpn } = options
  const isRequired = clientCertificates === 'require'
  return {
    isServer: true,
    tls: {
      secureContext: native(createSecureContext(context)),
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: isRequired,
      ...(alpn === undefined ? {} : { ALPNProtocols: alpnWire(alpn) }),
    },
    contextFor(name) {
      const found = contextFor(hosts, name)
      return found && native(found)
    },
    refusal(socket, isDone, error) {
      if (!isDone) return error ?? new Error('the TLS handshake failed')
      if (isRequired && !socket.authorized) return error ?? new Error('the client certificate is not trusted')
    },
    isVerified: (socket) => socket.authorized,
  }
}

/** Makes the client's side of a connection to `host`. */
export function clientSide(options: DialTlsOptions, host: string): TlsSide {
  const { rejectUnauthorized = true, ALPNProtocols, checkServerIdentity: check = checkServerIdentity } = options
  // An IP address is never sent as the server name (RFC 6066 3), but the certificate is checked against it.
  const serverName = options.servername ?? (isIP(host) === 0 ? host : '')
  const secureContext = options.secureContext ?? createSecureContext(options)
  const identityError = (socket: BunSocket<unknown>): Error | undefined => {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) return new Error('the server showed no certificate')
    return check(serverName || host, certificate.toLegacyObject())
  }
  return {
    isServer: false,
    tls: {
      secureContext: native(secureContext),
      requestCert: true,
      rejectUnauthorized,
      // Without it, Bun sends the address.
      serverName,
      ...(ALPNProtocols === undefined ? {} : { ALPNProtocols: alpnWire(ALPNProtocols) }),
    },
    contextFor: () => undefined,
    refusal(socket, isDone, error) {
      if (!rejectUnauthorized && isOfCertificate(error)) return
      if (!isDone) return error ?? new Error('the TLS handshake failed')
      if (!rejectUnauthorized) return
      if (error !== null && error !== undefined) return error
      return identityError(socket)
    },
    isVerified: (socket) => socket.authorized && identityError(socket) === undefined,
  }
}

/**
 * Returns whether the error is about a certificate, and not about the handshake. Bun reports a certificate for another name as a failed
 * handshake even if it was to accept any. The handshake is done then, and bytes flow.
 */
function isOfCertificate(error: Error | null | undefined): boolean {
  const { code = '' } = (error ?? {}) as { readonly code?: string }
  // EPROTO and ECONNRESET are about the handshake. OpenSSL's names of certificate errors have words.
  return code.includes('_')
}

/** Options of Node that Bun does not support. They are refused, so that no caller relies on them. */
const UNSUPPORTED = ['enableTrace', 'lookup', 'minDHSize', 'pskCallback', 'requestOCSP', 'session'] as const

/**
 * Refuses options that Bun does not support.
 * @throws TypeError
 */
export function checkDialTls(options: DialTlsOptions): void {
  for (const name of UNSUPPORTED) {
    if (options[name] !== undefined) throw new TypeError(`tls.${name}: Bun does not support it`)
  }
}

/** Returns Bun's own context from inside the one that `createSecureContext` made. */
function native(context: SecureContext): NativeContext {
  return (context as SecureContext & { readonly context: NativeContext }).context
}

/** Encodes a list of protocol names (RFC 7301 3.1). */
function alpnWire(protocols: DialTlsOptions['ALPNProtocols'] | readonly string[]): Uint8Array {
  if (!Array.isArray(protocols)) return protocols as Uint8Array
  return Buffer.concat(
    protocols.map((protocol: string | Uint8Array) => {
      const name = Buffer.from(protocol as string)
      return Buffer.concat([Uint8Array.of(name.byteLength), name])
    }),
  )
}
