/**
 * Messages that begin at fixed times. Each is timed from the moment when it was due. So if a message waits for earlier
 * ones, its wait counts, as it would for a sender.
 */
import { Client, type Director } from './client.ts'
import type { Outcome, PaceOrder } from './order.ts'
import { writeScript } from './script.ts'

export function pace(order: PaceOrder): Promise<Outcome> {
  return new Promise((resolve) => {
    new Pacing(order, resolve).start()
  })
}

class Pacing implements Director {
  readonly #order: PaceOrder
  readonly #resolve: (outcome: Outcome) => void
  /** Sessions with nothing to send. */
  readonly #idle: Client[] = []
  /** The time when the message of a session was due. */
  readonly #dues = new Map<Client, number>()
  /** Messages that are due and found no session idle. */
  readonly #waiting: number[] = []
  readonly #latenciesMs: number[] = []
  #startMs = 0
  #begun = 0
  #open = 0
  #isOver = false

  constructor(order: PaceOrder, resolve: (outcome: Outcome) => void) {
    this.#order = order
    this.#resolve = resolve
  }

  start(): void {
    const script = writeScript(this.#order.talk)
    for (let i = 0; i < this.#order.sessions; i++) new Client(script, this).connect(this.#order.port)
  }

  next(client: Client): boolean | undefined {
    if (this.#latenciesMs.length === this.#order.messages) {
      this.#idle.push(client)
      this.#end()
      return undefined
    }
    const due = this.#waiting.shift()
    if (due !== undefined) {
      this.#dues.set(client, due)
      return true
    }
    this.#idle.push(client)
    if (this.#startMs === 0 && ++this.#open === this.#order.sessions) {
      this.#startMs = performance.now()
      this.#tick()
    }
    return undefined
  }

  delivered(client: Client): void {
    this.#latenciesMs.push(performance.now() - (this.#dues.get(client) ?? 0))
  }

  closed(client: Client): void {
    if (!client.isDone) this.failed('the server closed a connection')
  }

  failed(reason: string): void {
    if (!this.#isOver) this.#finish(reason)
  }

  /** Begins the messages that are due. It runs in every turn of the event loop, because timers are not exact enough. */
  readonly #tick = (): void => {
    const { messages, messagesPerSecond } = this.#order
    const now = performance.now()
    while (this.#begun < messages) {
      const due = this.#startMs + (this.#begun / messagesPerSecond) * 1000
      if (due > now) break
      this.#begun++
      const client = this.#idle.pop()
      if (client === undefined) this.#waiting.push(due)
      else {
        this.#dues.set(client, due)
        client.resume(true)
      }
    }
    if (this.#begun < messages && !this.#isOver) setImmediate(this.#tick)
  }

  #end(): void {
    if (this.#isOver) return
    this.#finish()
    for (const client of this.#idle) client.resume(false)
  }

  #finish(error?: string): void {
    this.#isOver = true
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b)
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    this.#resolve({
      ...(error === undefined ? {} : { error }),
      messages: sorted.length,
      wallMs: performance.now() - this.#startMs,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    })
  }
}
