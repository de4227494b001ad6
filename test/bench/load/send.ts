/** Sends a number of messages over a number of sessions, as fast as the replies come. */
import { Client, type Director } from './client.ts'
import type { Outcome, SendOrder } from './order.ts'
import { type Script, writeScript } from './script.ts'

export function send(order: SendOrder): Promise<Outcome> {
  return new Promise((resolve) => {
    new Sending(order, resolve).start()
  })
}

class Sending implements Director {
  readonly #order: SendOrder
  readonly #script: Script
  readonly #resolve: (outcome: Outcome) => void
  readonly #startedMs = performance.now()
  /** Messages that no session has begun yet. */
  #left: number
  #delivered = 0
  #open = 0
  #error: string | undefined
  /** The number of messages that each connection may still send. */
  readonly #allowances = new Map<Client, number>()

  constructor(order: SendOrder, resolve: (outcome: Outcome) => void) {
    this.#order = order
    this.#script = writeScript(order.talk)
    this.#resolve = resolve
    this.#left = order.messages
  }

  start(): void {
    const sessions = Math.min(this.#order.sessions, this.#order.messages)
    for (let i = 0; i < sessions; i++) this.#connect()
  }

  next(client: Client): boolean {
    if (this.#left === 0) return false
    if (this.#order.messagesPerConnection > 0) {
      const allowance = this.#allowances.get(client) ?? this.#order.messagesPerConnection
      if (allowance === 0) return false
      this.#allowances.set(client, allowance - 1)
    }
    this.#left--
    return true
  }

  delivered(): void {
    this.#delivered++
  }

  closed(client: Client): void {
    this.#open--
    this.#allowances.delete(client)
    if (!client.isDone) this.failed('the server closed a connection')
    if (this.#error !== undefined) return
    if (this.#left > 0) this.#connect()
    else if (this.#open === 0) this.#end()
  }

  failed(reason: string): void {
    if (this.#error !== undefined) return
    this.#error = reason
    this.#end()
  }

  #connect(): void {
    this.#open++
    new Client(this.#script, this).connect(this.#order.port)
  }

  #end(): void {
    const { messages } = this.#order
    if (this.#delivered !== messages) this.#error ??= `${this.#delivered} of ${messages} messages were accepted`
    this.#resolve({
      ...(this.#error === undefined ? {} : { error: this.#error }),
      messages: this.#delivered,
      wallMs: performance.now() - this.#startedMs,
    })
  }
}
