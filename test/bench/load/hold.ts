/** Connections that send EHLO, and then nothing. */
import { Client, type Director } from './client.ts'
import type { HoldOrder, Outcome } from './order.ts'
import { writeScript } from './script.ts'

/** This many are opened at the same time, because a server's queue of new connections is finite. */
const MAX_OPENING = 100

export class Held implements Director {
  readonly #order: HoldOrder
  readonly #clients: Client[] = []
  readonly #startedMs = performance.now()
  #resolve: ((outcome: Outcome) => void) | undefined
  #begun = 0
  #open = 0
  #isReleased = false

  constructor(order: HoldOrder) {
    this.#order = order
  }

  /** Resolves when all of them are open and have their reply to EHLO. */
  open(): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      for (let i = 0; i < Math.min(MAX_OPENING, this.#order.connections); i++) this.#connect()
    })
  }

  /** Resolves when all of them are closed. */
  release(): Promise<Outcome> {
    this.#isReleased = true
    return new Promise((resolve) => {
      this.#resolve = resolve
      if (this.#open === 0) this.#finish()
      for (const client of this.#clients) client.end()
    })
  }

  next(client: Client): undefined {
    this.#clients.push(client)
    this.#open++
    if (this.#begun < this.#order.connections) this.#connect()
    else if (this.#open === this.#order.connections) this.#finish()
  }

  delivered(): void {}

  closed(): void {
    if (!this.#isReleased) return this.failed('the server closed a connection')
    if (--this.#open === 0) this.#finish()
  }

  failed(reason: string): void {
    this.#finish(reason)
  }

  #connect(): void {
    this.#begun++
    new Client(SCRIPT, this).connect(this.#order.port)
  }

  #finish(error?: string): void {
    const wallMs = performance.now() - this.#startedMs
    this.#resolve?.({ ...(error === undefined ? {} : { error }), messages: 0, wallMs })
    this.#resolve = undefined
  }
}

const SCRIPT = writeScript({ mode: 'lockstep', messageBytes: 0, recipients: 1, moreFields: 0, secure: false })
