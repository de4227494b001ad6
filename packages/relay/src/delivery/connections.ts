/** Connections to other servers, kept for the next message to the same one. */
import type { Client } from '@postern/engine/client'

export interface ConnectionsOptions {
  /** Connections that wait for the next message, to all servers. Default 100. */
  readonly maxIdle?: number | undefined
  /** A connection without a message is closed after this time. Default 10 s: other servers need their places too. */
  readonly idleMs?: number | undefined
  /** Messages on one connection. Default 100. */
  readonly maxMessages?: number | undefined
}

interface Kept {
  readonly client: Client
  readonly key: string
  messages: number
  timer: ReturnType<typeof setTimeout> | undefined
}

export class Connections {
  readonly #maxIdle: number
  readonly #idleMs: number
  readonly #maxMessages: number
  /** The one that has waited for longest is first. */
  readonly #idle = new Set<Kept>()
  readonly #used = new Map<Client, Kept>()
  #isClosed = false

  constructor({ maxIdle = 100, idleMs = 10_000, maxMessages = 100 }: ConnectionsOptions = {}) {
    this.#maxIdle = maxIdle
    this.#idleMs = idleMs
    this.#maxMessages = maxMessages
  }

  /** Returns a connection that waits under this key; undefined if there is none. */
  take(key: string): Client | undefined {
    let found: Kept | undefined
    for (const kept of this.#idle) if (kept.key === key) found = kept
    if (found === undefined) return undefined
    this.#idle.delete(found)
    clearTimeout(found.timer)
    // The server may have closed it meanwhile.
    if (!found.client.isOpen) return this.take(key)
    this.#used.set(found.client, found)
    return found.client
  }

  /** Remembers a new connection under a key. */
  add(key: string, client: Client): void {
    this.#used.set(client, { key, client, messages: 0, timer: undefined })
  }

  /** Says that the message on this connection is done. Keeps the connection, or closes it. */
  giveBack(client: Client): void {
    const kept = this.#used.get(client)
    this.#used.delete(client)
    if (kept === undefined || !client.isOpen) return
    kept.messages++
    if (this.#isClosed || kept.messages >= this.#maxMessages || this.#maxIdle === 0) return quit(client)
    if (this.#idle.size >= this.#maxIdle) {
      const [oldest] = this.#idle
      if (oldest !== undefined) this.#drop(oldest)
    }
    this.#idle.add(kept)
    kept.timer = setTimeout(() => this.#drop(kept), this.#idleMs)
  }

  /** Closes the connections that wait. Those in use are closed when they are given back. */
  close(): void {
    this.#isClosed = true
    for (const kept of this.#idle) this.#drop(kept)
  }

  /** Ends the connections in use, too. */
  destroy(reason: Error): void {
    this.close()
    for (const { client } of this.#used.values()) client.destroy(reason)
  }

  #drop(kept: Kept): void {
    clearTimeout(kept.timer)
    this.#idle.delete(kept)
    quit(kept.client)
  }
}

function quit(client: Client): void {
  // The message is delivered, and QUIT has a time limit of its own.
  client.quit().catch(() => {})
}
