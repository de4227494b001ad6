/** The part of Bun's API that servers and load generator use, declared so that nobody needs Bun's types. */

/** The field `context` of what `tls.createSecureContext` returns. */
export interface NativeContext {
  readonly brand: unique symbol
}

export interface BunSocket<T> {
  data: T
  /** Returns how many bytes were taken. */
  write(bytes: Uint8Array): number
  /** Closes when all written bytes are sent. */
  end(bytes?: Uint8Array): void
  setNoDelay(noDelay: boolean): boolean
  upgradeTLS<U>(options: {
    readonly data: U
    readonly isServer: boolean
    readonly tls: { readonly rejectUnauthorized: boolean; readonly secureContext: NativeContext }
    readonly socket: BunHandlers<U>
  }): [raw: BunSocket<T>, secure: BunSocket<U>]
}

export interface BunHandlers<T> {
  open?(socket: BunSocket<T>): void
  data?(socket: BunSocket<T>, bytes: Uint8Array): void
  drain?(socket: BunSocket<T>): void
  close?(socket: BunSocket<T>): void
  error?(socket: BunSocket<T>, error: Error): void
  connectError?(socket: BunSocket<T>, error: Error): void
  handshake?(socket: BunSocket<T>, isDone: boolean, error: Error | null): void
}

export interface BunApi {
  listen<T>(options: { hostname: string; port: number; socket: BunHandlers<T> }): { readonly port: number }
  connect<T>(options: { hostname: string; port: number; data: T; socket: BunHandlers<T> }): Promise<BunSocket<T>>
}

export const bun: BunApi = (globalThis as unknown as { readonly Bun: BunApi }).Bun
