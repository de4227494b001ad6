/**
 * A connection's bytes in and out, and the deadline of whatever it waits for.
 *
 * It waits for one thing at a time: the client's bytes, the client to take ours, a handshake, a hook. Each has its time,
 * and its own way to end when that is up. What answers at once waits for nothing, makes no promise and sets no deadline.
 */
import type { Duplex, TlsInfo } from '../duplex.ts'
import type { Limits } from '../protocol/limits.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { ServerProtocol } from '../protocol/server/server-protocol.ts'
import { type Owner, Watchdog } from './watchdog.ts'

/** Octets of replies that wait for the end of a batch of input; more leave at once, so that NOOPs cannot pile them up. */
const MAX_WAITING_OCTETS = 8_192

/** What a hook has to clean up when its session is destroyed. */
const LAST_MOMENT_MS = 1_000

const decoder = new TextDecoder()

/** What is waited for now, and so what happens when its time is up. */
type Waiting = 'nothing' | 'bytes' | 'peer' | 'handshake' | 'hook'

/**
 * A hook that is waited for. Between two chunks, one is asked while that for the message waits; and either may answer first,
 * as either may be asked first: the message's may read before it is waited for.
 */
interface HookWait {
  /** The one that was waited for before. */
  readonly before: HookWait | undefined
  isOver: boolean
  giveUp(last: Reply | undefined): void
}

/** Whose connection it is. */
export interface WireOwner {
  /** Nothing more is to be read or written. */
  wireOver(why: 'aborted' | 'timeout'): void
}

export class Wire implements Owner {
  readonly duplex: Duplex
  /** Nothing more is to be read or written. */
  isOver = false
  /** What broke the connection. */
  error: unknown

  readonly #protocol: ServerProtocol
  readonly #limits: Limits
  readonly #observe: ((line: string) => void) | undefined
  readonly #owner: WireOwner
  readonly #watchdog: Watchdog
  #waiting: Waiting = 'nothing'
  #lastMoment: ReturnType<typeof setTimeout> | undefined
  /** The hook whose time runs. */
  #hook: HookWait | undefined
  /** A write that the peer has not taken yet. */
  #writing: Promise<void> | undefined
  /** A read begun before the greeting. */
  #earlyRead: Promise<Uint8Array | null> | undefined
  #commandAwaitedSince = 0
  /** How many lines had been read when it was first awaited. */
  #linesBefore = -1
  #messageAwaitedSince = 0
  /** How long the message has waited for the client; what it waits for its reader does not count against the client. */
  #clientMs = 0

  /**
   * @param observe Sees each line that is sent.
   */
  constructor(
    duplex: Duplex,
    protocol: ServerProtocol,
    limits: Limits,
    observe: ((line: string) => void) | undefined,
    owner: WireOwner,
  ) {
    this.duplex = duplex
    this.#protocol = protocol
    this.#limits = limits
    this.#observe = observe
    this.#owner = owner
    const shortestMs = Math.min(limits.idleTimeoutMs, limits.dataTimeoutMs, limits.hookTimeoutMs)
    this.#watchdog = new Watchdog(limits.sessionTimeoutMs, shortestMs, this)
  }

  /** Sends the replies so far where a hook is waited for, which may take its time. */
  flushForHook(): void {
    if (this.#hook !== undefined && this.#protocol.waitingOctets > 0) void this.flush()
  }

  /** Whether it waits for the client to say something. */
  get isListening(): boolean {
    return this.#waiting === 'bytes'
  }

  /** How long it has waited for the client's next command. undefined if it waits for something else, or is over. */
  get idleMs(): number | undefined {
    if (!this.isListening || this.isOver || this.#hook !== undefined || this.#protocol.isInMessage) return undefined
    return performance.now() - this.#commandAwaitedSince
  }

  // Reading

  /**
   * The client's next bytes; once they are here, they are {@link take}'s. A promise that rejects means that the connection
   * broke, which {@link lose} is to hear of.
   */
  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const early = this.#earlyRead
    this.#earlyRead = undefined
    const bytes = early ?? this.duplex.read()
    if (bytes instanceof Promise) {
      if (this.#protocol.isInMessage) this.#waitForMessage()
      else this.#waitForCommand()
    }
    return bytes
  }

  /** Gives the protocol what was read. */
  take(bytes: Uint8Array | null): void {
    if (this.#waiting === 'bytes') {
      if (this.#protocol.isInMessage) this.#clientMs += performance.now() - this.#messageAwaitedSince
      this.rest()
    } else if (this.isOver) {
      // The last words had their answer. A hook that is still at it has its time, as after any wait.
      this.rest()
    }
    if (bytes === null) this.#protocol.receiveEnd()
    else this.#protocol.receive(bytes)
  }

  /**
   * Sends the replies so far, and gives the protocol the client's next bytes. undefined where that is done at once; else a
   * promise of what `goOn` gives then.
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

  /** Listens for `ms` without saying anything. Whether the client was quiet, and is still there. */
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

  /** A new message begins: its time starts anew. */
  beginMessage(): void {
    this.#clientMs = 0
  }

  // Writing

  /** Sends the replies so far, in one write. Returns a promise if the peer has to take them first. */
  flush(): void | Promise<void> {
    const earlier = this.#writing
    if (earlier !== undefined) {
      if (!this.isOver) this.#wait('peer', this.#limits.idleTimeoutMs)
      return earlier.then(() => this.flush())
    }
    const octets = this.#protocol.takeReplies()
    if (octets === undefined || this.isOver) return
    this.#show(octets)
    try {
      const written = this.duplex.write(octets)
      if (!(written instanceof Promise)) return
      this.#wait('peer', this.#limits.idleTimeoutMs)
      this.#writing = written.then(
        () => {
          this.#writing = undefined
          // The handshake begins while its 220 is still on its way.
          if (this.#waiting === 'peer') this.rest()
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
    if (this.#protocol.waitingOctets > MAX_WAITING_OCTETS) return this.flush()
  }

  #show(octets: Uint8Array): void {
    if (this.#observe === undefined) return
    for (const line of decoder.decode(octets).trimEnd().split('\r\n')) this.#observe(line)
  }

  // Ending

  /** Sends what is queued, and closes. */
  async hangUp(): Promise<void> {
    await this.flush()
    if (this.isOver) return
    this.setOver()
    this.#waitForClose()
    try {
      await this.duplex.end()
      this.#waiting = 'nothing'
    } catch (error) {
      this.lose(error)
    }
  }

  /** Ends a wait for bytes with a last word. */
  goodbye(last: Reply): void {
    this.#protocol.say(last)
    const octets = this.#protocol.takeReplies() ?? last.octets
    this.setOver(last === replies.TIMED_OUT ? 'timeout' : 'aborted')
    this.#show(octets)
    this.#waitForClose()
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

  /** The connection broke. */
  lose(error: unknown, why: 'aborted' | 'timeout' = 'aborted'): void {
    this.rest()
    this.setOver(why)
    this.error ??= error
    this.#destroyDuplex()
  }

  /** Ends everything now; a hook that waits for bytes hears of it, and has a moment to clean up behind itself. */
  destroy(): void {
    this.setOver()
    this.#destroyDuplex()
    this.#lastMoment = setTimeout(() => {
      while (this.#hook !== undefined) this.#hook.giveUp(replies.SHUTTING_DOWN)
    }, LAST_MOMENT_MS)
  }

  /** Called by timers too, where what a duplex of somebody's own throws would end the process. */
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

  /** No deadline holds any more. */
  stop(): void {
    clearTimeout(this.#lastMoment)
    this.#watchdog.stop()
  }

  // Waiting

  /** The TLS handshake, or undefined where it failed and the connection is lost. */
  async startTls(): Promise<TlsInfo | undefined> {
    this.#wait('handshake', this.#limits.tlsHandshakeTimeoutMs)
    try {
      return await this.duplex.startTls?.()
    } catch (error) {
      this.lose(error)
      return undefined
    } finally {
      this.#waiting = 'nothing'
    }
  }

  /**
   * Waits for a hook, and not longer than it may take: then it calls `late`, whose answer counts. No reply waits with it: what is
   * there is sent first (RFC 2920 3.2).
   */
  waitForHook<T>(hook: PromiseLike<T>, late: () => Reply): Promise<T | Reply> {
    if (this.#protocol.waitingOctets > 0) void this.flush()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (wait.isOver) return
        wait.isOver = true
        while (this.#hook?.isOver === true) this.#hook = this.#hook.before
        this.#restUnlessBusy()
      }
      const wait: HookWait = {
        before: this.#hook,
        isOver: false,
        giveUp(last) {
          settle()
          resolve(last ?? late())
        },
      }
      this.#hook = wait
      this.#restUnlessBusy()
      // Of what is no promise: it may throw, or answer with another.
      Promise.resolve(hook).then(
        (answer) => {
          settle()
          resolve(answer)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
    })
  }

  /** A wait is over. What remains is the hook that waited for it, if one did: its time starts anew. */
  rest(): void {
    if (this.#hook === undefined) this.#waiting = 'nothing'
    else this.#wait('hook', this.#limits.hookTimeoutMs)
  }

  /** A hook that has begun to read waits for the client, and may leave while it still does: that deadline stays. */
  #restUnlessBusy(): void {
    if (this.#waiting === 'nothing' || this.#waiting === 'hook') this.rest()
  }

  /** For a command: a byte of it now and then does not buy more time. */
  #waitForCommand(): void {
    const now = performance.now()
    const { isInLine, linesRead } = this.#protocol
    // One that began in the packet of what came before it has its time too.
    if (!isInLine || linesRead !== this.#linesBefore) {
      this.#commandAwaitedSince = now
      this.#linesBefore = linesRead
    }
    this.#wait('bytes', this.#commandAwaitedSince + this.#limits.idleTimeoutMs - now, now)
  }

  /** For bytes of a message: the pause between two blocks is bounded, and so is the time that this many may take. */
  #waitForMessage(): void {
    const { dataTimeoutMs, minDataBytesPerSecond, minDataRateGraceMs } = this.#limits
    const now = performance.now()
    this.#messageAwaitedSince = now
    const earnedMs = (this.#protocol.messageOctets * 1_000) / minDataBytesPerSecond
    const leftMs = minDataBytesPerSecond === 0 ? Infinity : minDataRateGraceMs + earnedMs - this.#clientMs
    this.#wait('bytes', Math.min(dataTimeoutMs, leftMs), now)
  }

  /** For the peer to take our last words and close, which it has time for also when the session's is up. */
  #waitForClose(): void {
    this.#waiting = 'peer'
    this.#watchdog.allowLast(this.#limits.idleTimeoutMs)
  }

  #wait(waiting: Waiting, ms: number, now?: number): void {
    this.#waiting = waiting
    this.#watchdog.allow(ms, now)
  }

  /** Called by the watchdog. */
  expire(isSessionOver: boolean): void {
    const waiting = this.#waiting
    this.#waiting = 'nothing'
    if (waiting === 'bytes') this.goodbye(replies.TIMED_OUT)
    else if (waiting === 'hook') this.#hook?.giveUp(isSessionOver ? replies.TIMED_OUT : undefined)
    else if (waiting === 'peer') this.lose(new Error('timed out: the client takes no replies'), 'timeout')
    else if (waiting === 'handshake')
      this.lose(new Error(`no TLS handshake within ${this.#limits.tlsHandshakeTimeoutMs} ms`))
  }
}
