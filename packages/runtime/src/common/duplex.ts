/**
 * The life of a connection, which is the same for every transport.
 *
 * A transport extends this class. It sends the bytes, and reports what happens to the connection.
 *
 * - After `end`, a reader gets no error if the connection breaks.
 * - The last write and `end` succeed if all bytes and our end have left, even if the connection breaks after that.
 */
import type { Duplex, Endpoint, TlsInfo } from '@postern/engine'
import { linger } from './linger.ts'
import { Received } from './received.ts'
import { connectionClosed } from './wait.ts'

export abstract class BaseDuplex implements Duplex {
  abstract readonly remote: Endpoint
  abstract readonly local: Endpoint
  startTls: Duplex['startTls']
  tls: TlsInfo | undefined

  protected readonly received: Received = new Received()
  /** After `end`, the connection is closed when nothing has moved for this time. */
  protected readonly lingerMs: number
  /** The write that waits. */
  #writing: PromiseWithResolvers<void> | undefined
  /** Settles the promise of `end`. */
  #ending: PromiseWithResolvers<void> | undefined
  #stopLingering: (() => void) | undefined
  /** Why the connection is closed: null if there is no reason, undefined while it is open. */
  #closedBy: Error | null | undefined
  #onceClosed: (() => void) | undefined

  constructor(lingerMs: number) {
    this.lingerMs = lingerMs
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.received.read()
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(new Error('write after end'))
    const isSent = this.#closedBy === undefined && this.send(bytes)
    // A transport may find out while it sends that the connection is closed.
    if (this.#closedBy !== undefined) return Promise.reject(this.closeReason)
    if (isSent) return
    this.#writing = Promise.withResolvers()
    return this.#writing.promise
  }

  end(): Promise<void> {
    if (this.#ending === undefined && this.#closedBy === undefined) this.#linger()
    return this.finishWriting()
  }

  /** Does the same as `end`, but waits for the peer's end without a limit. */
  finishWriting(): Promise<void> {
    if (this.#ending !== undefined) return this.#ending.promise
    const ending = Promise.withResolvers<void>()
    // A caller that does not wait for the close need not handle its error.
    ending.promise.catch(() => {})
    this.#ending = ending
    if (this.#closedBy === undefined) this.finish()
    else this.#settleWrites()
    return ending.promise
  }

  destroy(reason: Error = new Error('the connection was destroyed')): void {
    if (this.#closedBy !== undefined) return
    this.received.drop()
    if (this.#ending === undefined) this.received.fail(reason)
    this.close(reason)
  }

  whenClosed(listener: () => void): void {
    if (this.#closedBy === undefined) this.#onceClosed = listener
    else listener()
  }

  // For a transport to implement

  /** Sends bytes. Returns false if the writer has to wait for `sent`. */
  protected abstract send(bytes: Uint8Array): boolean
  /** Sends our end, after all written bytes. */
  protected abstract finish(): void
  /** Closes the transport now. Does nothing if it is closed already. */
  protected abstract abandon(reason?: Error): void
  /** Bytes that were written and have not left. */
  protected abstract get unsentBytes(): number
  /** True if all written bytes have left, and our end too. */
  protected abstract get isFinished(): boolean

  /** Lets the peer continue to send when nobody reads any more. */
  protected throwAway(): void {
    this.received.throwAway()
  }

  /** Closes the connection because nothing has moved since `end`. */
  protected giveUp(): void {
    this.close()
  }

  /** Ends the waits of the transport itself. Called once, when the connection has closed. */
  protected cleanUp(): void {}

  // For a transport to report

  /** Says that all written bytes have left. */
  protected sent(): void {
    this.#writing?.resolve()
    this.#writing = undefined
  }

  /**
   * Says that the connection broke. Reads reject with this error, after all received bytes. The transport then reports
   * `closed`.
   */
  protected failed(error: Error): void {
    if (this.#ending === undefined && !this.received.isEnded) this.received.fail(error)
  }

  /** Says that the connection is closed, in both directions. Only the first report counts. */
  protected closed(reason?: Error): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = reason ?? null
    this.stopLingering()
    const { received } = this
    // An error costs a stack trace, and most connections end well.
    if (this.#ending === undefined && !received.isEnded) received.fail(reason ?? connectionClosed())
    received.close()
    this.cleanUp()
    this.#settleWrites()
    this.#onceClosed?.()
  }

  // For a transport to use

  /** Closes the connection now. */
  protected close(reason?: Error): void {
    if (this.#closedBy !== undefined) return
    this.closed(reason)
    this.abandon(reason)
  }

  protected get isClosed(): boolean {
    return this.#closedBy !== undefined
  }

  /** The error that waits reject with when the connection is closed. */
  protected get closeReason(): Error {
    return this.received.failure ?? this.#closedBy ?? connectionClosed()
  }

  /** True after `end` was called. */
  protected get isEnding(): boolean {
    return this.#ending !== undefined
  }

  protected stopLingering(): void {
    this.#stopLingering?.()
    this.#stopLingering = undefined
  }

  /** @throws Error if TLS cannot begin now */
  protected checkTls(): void {
    const { isReading, isEnded } = this.received
    if (isReading) throw new Error('startTls while a read is pending')
    if (this.#closedBy !== undefined || isEnded) throw this.closeReason
  }

  /** Makes the connection TLS. Destroys the connection if the handshake fails. */
  protected async secure(handshake: () => Promise<TlsInfo>): Promise<TlsInfo> {
    this.startTls = undefined
    try {
      this.tls = await handshake()
      return this.tls
    } catch (error) {
      this.destroy(error as Error)
      // If somebody destroyed the connection, the handshake failed because of that.
      throw this.received.failure ?? error
    }
  }

  #linger(): void {
    const { received } = this
    this.#stopLingering = linger(
      {
        unsentBytes: () => this.unsentBytes,
        wasRead: () => received.takeWasRead(),
        throwAway: () => this.throwAway(),
        giveUp: () => this.giveUp(),
      },
      this.lingerMs,
    )
  }

  #settleWrites(): void {
    for (const wait of [this.#writing, this.#ending]) {
      if (wait === undefined) continue
      if (this.isFinished) wait.resolve()
      else wait.reject(this.closeReason)
    }
    this.#writing = undefined
  }
}
