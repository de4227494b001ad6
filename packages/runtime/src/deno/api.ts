/** The little of Deno that is used here, declared so that nobody needs its types installed. */

export interface DenoAddress {
  readonly transport: 'tcp' | 'udp' | 'unix' | 'unixpacket'
  /** Of TCP. */
  readonly hostname?: string
  readonly port?: number
  /** Of a Unix socket: null where that end has none. */
  readonly path?: string | null
}

export interface DenoConnection {
  readonly localAddr: DenoAddress
  readonly remoteAddr: DenoAddress
  /** How many bytes were put at the beginning of `into`; null after the peer's end. */
  read(into: Uint8Array): Promise<number | null>
  /** How many bytes of these were taken. */
  write(bytes: Uint8Array): Promise<number>
  /** Ends what we send. */
  closeWrite(): Promise<void>
  /** A `read` that is pending rejects. Throws when it is closed already. */
  close(): void
  /** Only TCP has it. */
  setNoDelay?(noDelay: boolean): void
}

export interface DenoListener {
  readonly addr: DenoAddress
  accept(): Promise<DenoConnection>
  /** An `accept` that is pending rejects. Throws when it is closed already. */
  close(): void
}

export interface TcpListenOptions {
  readonly port: number
  readonly hostname: string
  readonly tcpBacklog: number
  readonly reusePort: boolean
}

export interface TcpConnectOptions {
  readonly port: number
  readonly hostname: string
  readonly signal: AbortSignal
}

/** A Unix socket. */
export interface UnixOptions {
  readonly transport: 'unix'
  readonly path: string
}

export interface DenoApi {
  /** There with `--unstable-net` alone. Without it, asking for `reusePort` ends the process. */
  readonly listenDatagram?: unknown
  listen(options: TcpListenOptions | UnixOptions): DenoListener
  connect(options: TcpConnectOptions | UnixOptions): Promise<DenoConnection>
}

export const deno: DenoApi = (globalThis as unknown as { readonly Deno: DenoApi }).Deno
