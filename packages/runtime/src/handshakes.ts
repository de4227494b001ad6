/**
 * The handshakes of implicit TLS that go on at a listener.
 *
 * Until its handshake is done, a connection is the listener's, which bounds what it costs: in time, and in number by
 * letting the oldest go, because who is slow or silent on purpose is old.
 */
import type { ServeOptions } from './listening.ts'

/** Ends the connection, so that the handshake fails with this error. */
export type GiveUp = (error: Error) => void

export class Handshakes {
  readonly #max: number
  readonly #timeoutMs: number
  /** Oldest first. */
  readonly #running = new Set<GiveUp>()

  /** @throws RangeError */
  constructor({ maxHandshakes = 500, handshakeTimeoutMs = 30_000 }: ServeOptions) {
    if (!(maxHandshakes >= 1)) throw new RangeError(`maxHandshakes: ${maxHandshakes} is not 1 or more`)
    this.#max = maxHandshakes
    this.#timeoutMs = handshakeTimeoutMs
  }

  /** Waits for this handshake, within the bounds. */
  async run<T>(handshake: Promise<T>, giveUp: GiveUp): Promise<T> {
    const [oldest] = this.#running
    if (oldest !== undefined && this.#running.size >= this.#max) {
      // It may hear of it later, and is not to be given up twice.
      this.#running.delete(oldest)
      oldest(new Error('too many TLS handshakes at the same time'))
    }
    this.#running.add(giveUp)
    const timer = setTimeout(() => {
      giveUp(new Error(`the TLS handshake took longer than ${this.#timeoutMs} ms`))
    }, this.#timeoutMs)
    try {
      return await handshake
    } finally {
      clearTimeout(timer)
      this.#running.delete(giveUp)
    }
  }

  giveUp(): void {
    for (const giveUp of this.#running) giveUp(new Error('the listener was closed'))
  }
}
