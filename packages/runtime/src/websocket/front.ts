/**
 * A connection at a front. The front carries bytes through the pipe and back, and makes the handshake of STARTTLS when
 * the server asks for it. It knows nothing of SMTP.
 */
import type { Duplex } from '@postern/engine'
import type { PipeFacts } from './facts.ts'
import { WebSocketDuplex } from './duplex.ts'
import type { WebSocketLike } from './socket.ts'

/** The first byte of a handshake (RFC 8446 5.1). No SMTP command begins with it. */
const HANDSHAKE = 22

export interface CarryOptions {
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** The connection is closed when nothing has moved in either direction for this time. Default 3,600,000. */
  readonly idleTimeoutMs?: number | undefined
}

/**
 * Makes a front's facts about a client.
 * @param submission True if the client came to a port for submission.
 */
export function factsOf(client: Duplex, submission = false): PipeFacts {
  const { remote, local, tls } = client
  return { remote, local, tls, canStartTls: client.startTls !== undefined, submission }
}

/** Carries one connection through a front. Make it before the WebSocket is open, so that no early frame is lost. */
export class Carriage {
  readonly #client: Duplex
  readonly #pipe: WebSocketDuplex
  readonly #idleTimeoutMs: number
  /** True if something has moved since the idle timer last looked. */
  #hasMoved = true
  /** Present if the server wants a handshake. It takes the client's next bytes, which begin the handshake. */
  #takeNext: ((bytes: Uint8Array | null) => void) | undefined
  /** Present during the handshake. */
  #handshake: Promise<void> | undefined
  #isEndedByServer = false

  constructor(client: Duplex, socket: WebSocketLike, options: CarryOptions = {}) {
    const { remote, local } = client
    this.#client = client
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 3_600_000
    const canStartTls = client.startTls !== undefined
    this.#pipe = new WebSocketDuplex(socket, { remote, local, lingerMs: options.lingerMs }, 'front', canStartTls)
    this.#pipe.onHandshake = () => {
      this.#handshake = this.#makeHandshake().finally(() => {
        this.#handshake = undefined
      })
    }
  }

  /** Carries until both directions have ended, or either end breaks. Never rejects. Resolves to the error that broke it. */
  async run(): Promise<Error | undefined> {
    const timer = setInterval(() => {
      if (!this.#hasMoved) this.destroy(new Error(`nothing moved for ${this.#idleTimeoutMs} ms`))
      this.#hasMoved = false
    }, this.#idleTimeoutMs)
    try {
      const [up, down] = await Promise.all([this.#up(), this.#down()])
      return up ?? down
    } finally {
      clearInterval(timer)
    }
  }

  /** Closes both ends now. */
  destroy(reason?: Error): void {
    this.#client.destroy(reason)
    this.#pipe.destroy(reason)
  }

  /** Carries from the client to the server. */
  async #up(): Promise<Error | undefined> {
    const client = this.#client
    const pipe = this.#pipe
    try {
      for (;;) {
        const reading = client.read()
        const bytes = reading instanceof Promise ? await reading : reading
        this.#hasMoved = true
        const takeNext = this.#takeNext
        if (takeNext !== undefined) {
          this.#takeNext = undefined
          takeNext(bytes)
        } else if (bytes !== null) {
          const writing = pipe.write(bytes)
          if (writing !== undefined) await writing
        }
        if (this.#handshake !== undefined) await this.#handshake
        if (bytes === null) break
      }
      // A client that has sent everything may wait for the server's replies, without a limit.
      await pipe.finishWriting()
      return undefined
    } catch (error) {
      if (this.#isEndedByServer) {
        // The server reads no more, and the last replies are on their way to the client.
        void pipe.end()
        return undefined
      }
      this.destroy(error as Error)
      return error as Error
    }
  }

  /** Carries from the server to the client. */
  async #down(): Promise<Error | undefined> {
    const client = this.#client
    const pipe = this.#pipe
    try {
      for (;;) {
        const reading = pipe.read()
        const bytes = reading instanceof Promise ? await reading : reading
        this.#hasMoved = true
        if (bytes === null) break
        const writing = client.write(bytes)
        if (writing !== undefined) await writing
      }
      this.#isEndedByServer = true
      await client.end()
      return undefined
    } catch (error) {
      this.destroy(error as Error)
      return error as Error
    }
  }

  /** Makes the handshake. Everything that the server sent before it asked has been written to the client. */
  async #makeHandshake(): Promise<void> {
    const client = this.#client
    const pipe = this.#pipe
    try {
      // Bytes of the client that the server has not got, or the client's next bytes.
      const first = pipe.takeUnsent() ?? (await this.#nextBytes())
      if (first === null) throw new Error('the client ended the connection')
      if (first[0] !== HANDSHAKE) {
        // The client sent clear text when a handshake was to begin (CVE-2011-0411).
        pipe.answerHandshake({ type: 'early', byteLength: first.byteLength })
        return
      }
      if (client.startTls === undefined) throw new Error('the front cannot make the handshake')
      // Bytes that look like a handshake go into the handshake. So they never reach the server as if they had come
      // under TLS.
      const tls = await client.startTls(first)
      pipe.answerHandshake({ type: 'tls', tls })
    } catch (error) {
      pipe.answerHandshake({ type: 'tlsFailed', reason: (error as Error).message })
    }
  }

  #nextBytes(): Promise<Uint8Array | null> {
    return new Promise((resolve) => {
      this.#takeNext = resolve
    })
  }
}
