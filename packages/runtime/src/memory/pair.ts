/**
 * A connection inside a program, without a runtime: one end reads what the other writes.
 * It behaves as a socket does. A writer waits for a slow reader. Each direction ends by itself. If one end is
 * destroyed, the other is reset. After `end`, bytes that nobody reads are dropped, so that the peer can finish, until
 * nothing has moved for `lingerMs`.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { linger, type Lingering } from '../common/linger.ts'
import type { Wait } from '../common/wait.ts'

export interface PairOptions {
  /** Bytes that may wait unread before a `write` waits too. Default 65,536. */
  readonly highWaterMark?: number
  /** Cuts written bytes into reads of at most this many bytes. Default: as they were written. */
  readonly chunkBytes?: number
  /** Gives both ends a `startTls` that encrypts nothing. Default false. */
  readonly startTls?: boolean
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number
  /** The addresses of the two ends. Each is the `local` of its end, and the `remote` of the other. */
  readonly endpoints?: readonly [Endpoint, Endpoint]
}

const NOWHERE: Endpoint = { family: 'unknown', address: '', port: 0 }
const PRETENDED: TlsInfo = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }

/** Makes a connection and returns its two ends. Either may be the server's. @throws RangeError */
export function pair(options: PairOptions = {}): [Duplex, Duplex] {
  const { highWaterMark = 65_536, chunkBytes = Infinity, lingerMs = 5_000 } = options
  if (!(highWaterMark >= 0)) throw new RangeError(`highWaterMark: ${highWaterMark} is not 0 or more`)
  if (!(chunkBytes >= 1)) throw new RangeError(`chunkBytes: ${chunkBytes} is not 1 or more`)
  if (!(lingerMs >= 0)) throw new RangeError(`lingerMs: ${lingerMs} is not 0 or more`)
  const settings: Settings = { highWaterMark, chunkBytes, lingerMs, startTls: options.startTls ?? false }
  const [one = NOWHERE, other = NOWHERE] = options.endpoints ?? []
  return End.pair(settings, one, other)
}

type Settings = Required<Omit<PairOptions, 'endpoints'>>

class End implements Duplex {
  startTls: (() => Promise<TlsInfo>) | undefined
  readonly local: Endpoint
  readonly remote: Endpoint
  tls: TlsInfo | undefined

  readonly #settings: Settings
  #peer: End = this
  /** Received and not read yet. The first may have been read in part. */
  readonly #chunks: Uint8Array[] = []
  #unreadBytes = 0
  #reading: Wait<Uint8Array | null> | undefined
  /** A write of the peer that waits until this end has read. */
  #peerWriting: Wait<void> | undefined
  #handshake: Wait<TlsInfo> | undefined
  /** The promise of `end`. */
  #ended: Promise<void> | undefined
  #ending: Wait<void> | undefined
  #isClosed = false
  /** The error that reads and writes reject with. */
  #failure: Error | undefined
  #stopLingering: (() => void) | undefined
  /** True if somebody has read since `linger` last looked. */
  #wasRead = false
  #isDiscarding = false
  #onceClosed: (() => void) | undefined

  static pair(settings: Settings, one: Endpoint, other: Endpoint): [End, End] {
    const ends: [End, End] = [new End(settings, one, other), new End(settings, other, one)]
    ends[0].#peer = ends[1]
    ends[1].#peer = ends[0]
    return ends
  }

  constructor(settings: Settings, local: Endpoint, remote: Endpoint) {
    this.#settings = settings
    this.local = local
    this.remote = remote
    if (settings.startTls) this.startTls = () => this.#startTls()
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    this.#wasRead = true
    if (this.#unreadBytes > 0) return this.#take()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isClosed || this.#peer.#ended !== undefined) return null
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject }
    })
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new Error('write after end'))
    if (this.#isClosed) return Promise.reject(this.#failure ?? resetByPeer())
    if (bytes.byteLength > 0) return this.#peer.#receive(bytes)
  }

  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  destroy(reason: Error = new Error('the connection was destroyed')): void {
    if (this.#isClosed) return
    this.#discard()
    if (this.#ended === undefined) this.#failure ??= reason
    this.#close(reason)
    this.#peer.#close(resetByPeer())
  }

  whenClosed(listener: () => void): void {
    if (this.#isClosed) listener()
    else this.#onceClosed = listener
  }

  async #end(): Promise<void> {
    if (this.#isClosed) return
    const ended = new Promise<void>((resolve, reject) => {
      this.#ending = { resolve, reject }
    })
    this.#stopLingering = linger(this.#lingering(), this.#settings.lingerMs)
    const peer = this.#peer
    peer.#handshake?.reject(new Error('the connection ended in the handshake'))
    peer.#handshake = undefined
    peer.#reading?.resolve(null)
    peer.#reading = undefined
    if (peer.#ended !== undefined) {
      this.#close()
      peer.#close()
    }
    return ended
  }

  #lingering(): Lingering {
    return {
      unsentBytes: () => 0,
      wasRead: () => {
        const wasRead = this.#wasRead
        this.#wasRead = false
        return wasRead
      },
      throwAway: () => {
        if (this.#peerWriting !== undefined) this.#throwAway()
      },
      giveUp: () => this.#close(),
    }
  }

  /** Takes what the peer writes. */
  #receive(bytes: Uint8Array): void | Promise<void> {
    if (this.#isClosed) return Promise.reject(resetByPeer())
    if (this.#handshake !== undefined) return this.destroy(new Error('the peer does not speak TLS'))
    if (this.#isDiscarding) return
    this.#chunks.push(bytes)
    this.#unreadBytes += bytes.byteLength
    const reading = this.#reading
    this.#reading = undefined
    reading?.resolve(this.#take())
    if (this.#unreadBytes <= this.#settings.highWaterMark) return
    return new Promise((resolve, reject) => {
      this.#peerWriting = { resolve, reject }
    })
  }

  #take(): Uint8Array {
    const first = this.#chunks[0] as Uint8Array
    const chunk = first.subarray(0, this.#settings.chunkBytes)
    if (chunk.byteLength === first.byteLength) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(chunk.byteLength)
    this.#unreadBytes -= chunk.byteLength
    if (this.#unreadBytes <= this.#settings.highWaterMark) this.#letPeerWrite()
    return chunk
  }

  /** Drops bytes that nobody reads. A later read fails, because bytes are missing. */
  #throwAway(): void {
    this.#failure ??= new Error('bytes that came after the end were dropped')
    this.#isDiscarding = true
    this.#discard()
    this.#letPeerWrite()
  }

  #discard(): void {
    this.#chunks.length = 0
    this.#unreadBytes = 0
  }

  #letPeerWrite(): void {
    this.#peerWriting?.resolve()
    this.#peerWriting = undefined
  }

  /** Closes both directions. Without a failure, the reader gets the received bytes, then null. */
  #close(failure?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopLingering?.()
    // After the `end` of either side, a reader gets no error if the connection breaks.
    if (this.#ended === undefined && this.#peer.#ended === undefined) this.#failure ??= failure
    if (this.#failure === undefined) this.#reading?.resolve(null)
    else this.#reading?.reject(this.#failure)
    this.#peerWriting?.reject(resetByPeer())
    this.#handshake?.reject(failure ?? resetByPeer())
    this.#ending?.resolve()
    this.#peerWriting = this.#handshake = this.#reading = this.#ending = undefined
    this.#onceClosed?.()
  }

  async #startTls(): Promise<TlsInfo> {
    if (this.#reading !== undefined) throw new Error('startTls while a read is pending')
    if (this.#isClosed || this.#peer.#ended !== undefined) throw this.#failure ?? resetByPeer()
    const early = this.#unreadBytes
    if (early > 0) {
      this.#discard()
      this.#letPeerWrite()
      throw new EarlyBytesError(early)
    }
    this.startTls = undefined
    const peer = this.#peer
    if (peer.#handshake === undefined) {
      await new Promise((resolve, reject) => {
        this.#handshake = { resolve, reject }
      })
    } else {
      peer.#handshake.resolve(PRETENDED)
      peer.#handshake = undefined
      peer.tls = PRETENDED
    }
    this.tls = PRETENDED
    return PRETENDED
  }
}

function resetByPeer(): Error {
  return Object.assign(new Error('the connection was reset by the peer'), { code: 'ECONNRESET' })
}
