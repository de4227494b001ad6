/** The part of Deno's API that is used here, declared so that nobody needs Deno's types. */

export interface DenoAddress {
  readonly transport: 'tcp' | 'udp' | 'unix' | 'unixpacket'
  /** For TCP. */
  readonly hostname?: string
  readonly port?: number
  /** For a Unix socket. Null if that end has no path. */
  readonly path?: string | null
}

export interface DenoConnection {
  readonly localAddr: DenoAddress
  readonly remoteAddr: DenoAddress
  /** Returns how many bytes it put at the beginning of `into`, or null after the peer's end. */
  read(into: Uint8Array): Promise<number | null>
  /** Returns how many bytes were taken. */
  write(bytes: Uint8Array): Promise<number>
  /** Sends our end. */
  closeWrite(): Promise<void>
  /** Closes the connection. A pending `read` rejects. Throws if it is closed already. */
  close(): void
  /** Only TCP has it. */
  setNoDelay?(noDelay: boolean): void
}

export interface DenoListener {
  readonly addr: DenoAddress
  accept(): Promise<DenoConnection>
  /** Closes the listener. A pending `accept` rejects. Throws if it is closed already. */
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
  /** Present only with `--unstable-net`. Without that flag, Deno ends the process if somebody asks for `reusePort`. */
  readonly listenDatagram?: unknown
  listen(options: TcpListenOptions | UnixOptions): DenoListener
  connect(options: TcpConnectOptions | UnixOptions): Promise<DenoConnection>
  /** Needs the permission `sys`. */
  hostname(): string
  readonly permissions: {
    /** Asks nobody. */
    querySync(permission: { readonly name: 'sys'; readonly kind: 'hostname' }): { readonly state: string }
  }
}

export const deno: DenoApi = (globalThis as unknown as { readonly Deno: DenoApi }).Deno

/** @throws TypeError on another runtime */
export function checkRuntime(): void {
  if (!('Deno' in globalThis)) throw new TypeError('@postern/runtime/deno: this is not Deno')
}
