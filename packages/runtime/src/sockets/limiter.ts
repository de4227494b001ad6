/**
 * The handshakes of implicit TLS that go on at a listener.
 *
 * Until its handshake is done, a connection is the listener's, which bounds what it costs: in time, and in number by giving
 * up the oldest of the address that has most, because who is slow or silent on purpose is old, and who floods is many.
 */
import { type Endpoint, FairSet } from '@postern/engine'
import type { ServeOptions } from './inbound.ts'

/** Ends the connection. With an error, its handshake has begun, and fails with this error. */
export type GiveUp = (error?: Error) => void

export class Handshakes {
  readonly #timeoutMs: number
  readonly #running: FairSet<GiveUp>

  /** @throws RangeError */
  constructor({ maxHandshakes = 500, handshakeTimeoutMs = 30_000 }: ServeOptions) {
    if (!(maxHandshakes >= 1)) throw new RangeError(`maxHandshakes: ${maxHandshakes} is not 1 or more`)
    this.#running = new FairSet(maxHandshakes)
    this.#timeoutMs = handshakeTimeoutMs
  }

  /** Waits for this handshake, within the bounds. */
  async run<T>(remote: Endpoint, handshake: Promise<T>, giveUp: GiveUp): Promise<T> {
    const displaced = this.#running.add(remote, giveUp)
    displaced?.(new Error('too many TLS handshakes at the same time'))
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
