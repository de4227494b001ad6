/** The part of Bun's API that is used here, declared so that nobody needs Bun's types. */
import type { X509Certificate } from 'node:crypto'
import type { OlderCertificate } from '../sockets/tls/peer-certificate.ts'

/** Callbacks of a Bun socket. One such object serves all sockets of a listener. */
export interface SocketHandlers<T> {
  open?(socket: BunSocket<T>): void
  data?(socket: BunSocket<T>, bytes: Uint8Array): void
  /** The socket has room to write again. Bun also calls it at other times. */
  drain?(socket: BunSocket<T>): void
  /** The peer has finished sending. */
  end?(socket: BunSocket<T>): void
  close?(socket: BunSocket<T>, error?: Error): void
  error?(socket: BunSocket<T>, error: Error): void
  /** The TLS handshake is over. Even if it succeeded, `error` may report a problem of a certificate. */
  handshake?(socket: BunSocket<T>, isDone: boolean, error: Error | null): void
  /**
   * Returns the context for a client that asks for this host.
   * @param data The data of the socket
   */
  serverName?(data: T, name: string): NativeContext | undefined
}

/** The field `context` of what `tls.createSecureContext` returns. */
export interface NativeContext {
  readonly brand: unique symbol
}

export interface BunSocket<T> {
  data: T
  readonly remoteAddress?: string
  readonly remotePort?: number
  readonly localAddress?: string
  readonly localPort?: number
  /** True if the peer showed a certificate that chains to a trusted authority. */
  readonly authorized: boolean
  /** Returns how many bytes were taken, or less than zero if the socket is closed. */
  write(bytes: Uint8Array): number
  /** Finishes sending. */
  shutdown(): void
  /** Closes now, in both directions. */
  close(): void
  pause(): void
  resume(): void
  setNoDelay(noDelay: boolean): boolean
  /** Returns two sockets: the one in clear, which still receives ciphertext, and the one under TLS. */
  upgradeTLS<U>(options: UpgradeOptions<U>): [raw: BunSocket<T>, secure: BunSocket<U>]
  getTLSVersion(): string | null
  getCipher(): { readonly standardName: string | null } | undefined
  getServername(): string | undefined
  exportKeyingMaterial(length: number, label: string, context: Buffer): Buffer
  getX509Certificate(): X509Certificate | undefined
  getPeerX509Certificate(): X509Certificate | undefined
  /** @param isShort Without the issuers */
  getPeerCertificate(isShort: boolean): OlderCertificate | undefined
}

export interface UpgradeOptions<T> {
  readonly data: T
  readonly isServer: boolean
  readonly tls: UpgradeTls
  readonly socket: SocketHandlers<T>
  /** Bytes that come before what the socket receives. */
  readonly initialData?: Uint8Array | undefined
}

export interface UpgradeTls {
  readonly secureContext: NativeContext
  readonly requestCert?: boolean
  readonly rejectUnauthorized?: boolean
  /** Encoded as in RFC 7301 3.1. */
  readonly ALPNProtocols?: Uint8Array
  /** The host name that the client asks for. */
  readonly serverName?: string
}

export interface BunListener {
  readonly port: number
  readonly hostname: string
  stop(): void
}

type Place = { readonly unix: string } | { readonly hostname: string; readonly port: number }

/** A listening socket that the process was started with. */
type Inherited = { readonly fd: number }

interface BunApi {
  listen<T>(
    options: (Place | Inherited) & { allowHalfOpen: true; reusePort?: boolean; data: T; socket: SocketHandlers<T> },
  ): BunListener
  connect<T>(options: Place & { allowHalfOpen: true; data: T; socket: SocketHandlers<T> }): Promise<BunSocket<T>>
}

/** @throws TypeError on another runtime */
export function bun(): BunApi {
  const { Bun } = globalThis as { Bun?: BunApi }
  if (Bun === undefined) throw new TypeError('@postern/runtime/bun: this is not Bun')
  return Bun
}
