/**
 * Deletes messages that say that a record was removed.
 *
 * A removal is a message without entries in place of the record. nats-server 2.9 writes a new message to its file at once, and the deletion of
 * an old one up to two minutes later. If the record were deleted, and the server killed, the record would be back.
 */
import type { Stream } from './stream.ts'
import { together } from './together.ts'

interface Grave {
  readonly seq: number
  readonly at: number
}

/** Longer than the server takes to write what it has deleted. */
const REST_MS = 300_000
const LOOK_MS = 30_000
/** Over it, the oldest are deleted early. */
const MAX_GRAVES = 500_000

export class Graves {
  readonly #stream: () => Promise<Stream>
  readonly #byName = new Map<string, Grave>()
  readonly #timer: ReturnType<typeof setInterval>
  #isDeleting = false

  /** @param stream Returns the stream, or rejects if the server is away */
  constructor(stream: () => Promise<Stream>) {
    this.#stream = stream
    this.#timer = setInterval(() => void this.#deleteOld(), LOOK_MS)
  }

  /** @param at When the record was removed */
  add(name: string, seq: number, at: number): void {
    this.#byName.delete(name)
    this.#byName.set(name, { seq, at })
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #deleteOld(): Promise<void> {
    if (this.#isDeleting) return
    this.#isDeleting = true
    const before = Date.now() - REST_MS
    const surplus = this.#byName.size - MAX_GRAVES
    const old = [...this.#byName].filter(([, { at }], index) => at < before || index < surplus)
    try {
      const stream = await this.#stream()
      await together(old, async ([name, grave]) => {
        await stream.remove(grave.seq)
        if (this.#byName.get(name) === grave) this.#byName.delete(name)
      })
    } catch {
      // The server is away. They are deleted later.
    }
    this.#isDeleting = false
  }
}
