/**
 * Moves a connection's bytes in and out, and does not know what they mean.
 * If a call can be answered at once, it makes no promise, sets no deadline and does not wait.
 */
import type { Duplex, TlsInfo } from '../duplex.ts'
import type { Waits } from './waits.ts'

/**
 * Octets that may wait for the end of a batch of input. More are sent at once, so a client cannot fill the memory with
 * replies to NOOP.
 */
const MAX_WAITING_OCTETS = 8_192

const NOTHING = new Uint8Array(0)
const decoder = new TextDecoder()

/** Takes the received bytes, and has the bytes that are to be sent. */
export interface WireEnd {
  /** Octets that wait to be sent. */
  readonly waitingOctets: number
  /** Returns the octets that wait to be sent, and forgets them; undefined if there are none. */
  takeReplies(): Uint8Array | undefined
  receive(bytes: Uint8Array): void
  /** Says that no more bytes will come. */
  receiveEnd(): void
}

/** The owner of the connection. */
export interface WireOwner {
  /** Says that nothing more will be read or written. */
  wireOver(why: 'aborted' | 'timeout'): void
}

export class Wire {
  readonly duplex: Duplex
  /** Nothing more will be read or written. */
  isOver = false
  /** The error that broke the connection. */
  error: unknown

  readonly #end: WireEnd
  readonly #waits: Waits
  readonly #observe: ((line: string) => void) | undefined
  readonly #owner: WireOwner
  /** A write that the peer has not taken yet. */
  #writing: Promise<void> | undefined
  /** A read that was begun before the greeting. */
  #earlyRead: Promise<Uint8Array | null> | undefined

  /** @param observe Gets each line that is sent. */
  constructor(
    duplex: Duplex,
    end: WireEnd,
    waits: Waits,
    observe: ((line: string) => void) | undefined,
    owner: WireOwner,
  ) {
    this.duplex = duplex
    this.#end = end
    this.#waits = waits
    this.#observe = observe
    this.#owner = owner
  }

  // Reading

  /**
   * Reads the client's next bytes. The caller gives them to {@link take}. If the promise rejects, the connection broke,
   * and the caller gives the error to {@link lose}.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const early = this.#earlyRead
    this.#earlyRead = undefined
    const bytes = early ?? this.duplex.read()
    if (bytes instanceof Promise) this.#waits.forBytes()
    return bytes
  }

  /** Hands received bytes on. */
  take(bytes: Uint8Array | null): void {
    if (this.#waits.isForBytes) this.#waits.bytesCame()
    // The last reply was sent. A hook that still runs has its time, as after any wait.
    else if (this.isOver) this.#waits.rest()
    if (bytes === null) this.#end.receiveEnd()
    else this.#end.receive(bytes)
  }

  /**
   * Sends the replies so far, and takes the client's next bytes. Returns undefined if that is done at once; otherwise a
   * promise of the result of `goOn`, which is called then.
   */
  fill<T>(goOn: () => T | Promise<T>): Promise<T> | undefined {
    const flushed = this.flush()
    if (flushed !== undefined) return flushed.then(() => this.#fill(goOn) ?? goOn())
    return this.#fill(goOn)
  }

  #fill<T>(goOn: () => T | Promise<T>): Promise<T> | undefined {
    if (this.isOver) return undefined
    try {
      const bytes = this.read()
      if (bytes instanceof Promise) {
        const here = (read: Uint8Array | null): T | Promise<T> => {
          this.take(read)
          return goOn()
        }
        const lost = (error: unknown): T | Promise<T> => {
          this.lose(error)
          return goOn()
        }
        return bytes.then(here, lost)
      }
      this.take(bytes)
    } catch (error) {
      this.lose(error)
    }
    return undefined
  }

  /** Listens for `ms` and sends nothing. Returns whether the client was quiet and is still there. */
  async listenQuietly(ms: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const quiet = new Promise<'quiet'>((resolve) => {
      timer = setTimeout(() => resolve('quiet'), ms)
    })
    try {
      const read = this.duplex.read()
      if (!(read instanceof Promise) || (await Promise.race([read, quiet])) !== 'quiet') return false
      this.#earlyRead = read
      return true
    } catch (error) {
      this.lose(error)
      return false
    } finally {
      clearTimeout(timer)
    }
  }

  // Writing

  /** Sends the replies so far, in one write. Returns a promise if the peer has to take them first. */
  flush(): void | Promise<void> {
    const earlier = this.#writing
    if (earlier !== undefined) {
      if (!this.isOver) this.#waits.forPeer()
      return earlier.then(() => this.flush())
    }
    const octets = this.#end.takeReplies()
    if (octets === undefined || this.isOver) return
    this.#show(octets)
    try {
      const written = this.duplex.write(octets)
      if (!(written instanceof Promise)) return
      this.#waits.forPeer()
      this.#writing = written.then(
        () => {
          this.#writing = undefined
          // The handshake begins while its 220 is still on the way.
          if (this.#waits.isForPeer) this.#waits.rest()
        },
        (error: unknown) => {
          this.#writing = undefined
          this.lose(error)
        },
      )
      return this.#writing
    } catch (error) {
      this.lose(error)
    }
  }

  flushIfLong(): void | Promise<void> {
    if (this.#end.waitingOctets > MAX_WAITING_OCTETS) return this.flush()
  }

  /** Sends the replies so far, because a hook may take long. Does not wait for the peer to take them. */
  flushForHook(): void {
    if (this.#end.waitingOctets > 0) void this.flush()
  }

  #show(octets: Uint8Array): void {
    if (this.#observe === undefined) return
    for (const line of decoder.decode(octets).trimEnd().split('\r\n')) this.#observe(line)
  }

  // TLS

  /** Makes the TLS handshake. Returns undefined if it failed and the connection is lost. */
  async startTls(): Promise<TlsInfo | undefined> {
    this.#waits.forHandshake()
    try {
      return await this.duplex.startTls?.()
    } catch (error) {
      this.lose(error)
      return undefined
    } finally {
      this.#waits.end()
    }
  }

  // Ending

  /** Sends the queued replies, and closes. */
  async hangUp(): Promise<void> {
    await this.flush()
    if (this.isOver) return
    this.setOver()
    this.#waits.forClose()
    try {
      await this.duplex.end()
      this.#waits.end()
    } catch (error) {
      this.lose(error)
    }
  }

  /** Ends a wait for bytes: sends the queued replies and closes, and waits for neither. */
  endWait(why: 'aborted' | 'timeout'): void {
    const octets = this.#end.takeReplies() ?? NOTHING
    this.setOver(why)
    this.#show(octets)
    this.#waits.forClose()
    if (this.#writing === undefined) this.#writeLast(octets)
    else void this.#writing.then(() => this.#writeLast(octets))
  }

  #writeLast(octets: Uint8Array): void {
    try {
      const written = this.duplex.write(octets)
      if (written instanceof Promise) written.catch((error: unknown) => this.lose(error))
      this.duplex.end().catch((error: unknown) => this.lose(error))
    } catch (error) {
      this.lose(error)
    }
  }

  /** Marks the connection as broken. */
  lose(error: unknown, why: 'aborted' | 'timeout' = 'aborted'): void {
    this.#waits.rest()
    this.setOver(why)
    this.error ??= error
    this.#destroyDuplex()
  }

  /** Ends everything now. */
  destroy(): void {
    this.setOver()
    this.#destroyDuplex()
  }

  /** Destroys the duplex. Timers call it too, and there an exception of somebody else's duplex would end the process. */
  #destroyDuplex(): void {
    try {
      this.duplex.destroy()
    } catch (error) {
      this.error ??= error
    }
  }

  setOver(why: 'aborted' | 'timeout' = 'aborted'): void {
    this.isOver = true
    this.#owner.wireOver(why)
  }
}
