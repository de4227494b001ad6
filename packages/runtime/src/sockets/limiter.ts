/**
 * Bounds the implicit-TLS handshakes of a listener, in time and in number.
 * If there are too many, the oldest one of the address that has the most is given up. A client that is slow or silent
 * on purpose has an old one, and a client that floods has many.
 */
import { type Endpoint, FairSet } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import type { ServeOptions } from './inbound.ts'

/** Closes the connection. Its handshake fails with this error. */
export type GiveUp = (error: Error) => void

export class HandshakeLimiter {
  readonly #timeoutMs: number
  readonly #running: FairSet<GiveUp>

  /** @throws RangeError */
  constructor({ maxHandshakes = 500, handshakeTimeoutMs = 30_000 }: ServeOptions) {
    checkDurations({ handshakeTimeoutMs })
    if (!(maxHandshakes >= 1)) throw new RangeError(`maxHandshakes: ${maxHandshakes} is not 1 or more`)
    this.#running = new FairSet(maxHandshakes)
    this.#timeoutMs = handshakeTimeoutMs
  }

  /** Waits for this handshake, within the bounds. */
  async run(remote: Endpoint, handshake: Promise<unknown> | undefined, giveUp: GiveUp): Promise<void> {
    const displaced = this.#running.add(remote, giveUp)
    displaced?.(new Error('too many TLS handshakes at the same time'))
    const timer = setTimeout(() => {
      giveUp(new Error(`the TLS handshake took longer than ${this.#timeoutMs} ms`))
    }, this.#timeoutMs)
    try {
      await handshake
    } finally {
      clearTimeout(timer)
      this.#running.delete(giveUp)
    }
  }

  /** Gives up all handshakes. */
  giveUp(): void {
    for (const giveUp of this.#running) giveUp(new Error('the listener was closed'))
  }
}
