/** One connection of an attacker: it counts the replies that it gets. */
import { connect, type Socket } from 'node:net'
import type { Tally } from './order.ts'

const LF = 10
const BLANK = 32
const EMPTY = Buffer.alloc(0)

export interface PeerEvents {
  opened?(peer: Peer): void
  /** A whole reply came. */
  replied?(code: number, peer: Peer): void
  /** All written bytes were taken, and there is room for more. */
  drained?(peer: Peer): void
  /** The connection is over, or could not be opened. */
  closed?(peer: Peer): void
}

export class Peer {
  readonly #socket: Socket
  readonly #tally: Tally
  readonly #events: PeerEvents
  #partial: Buffer = EMPTY

  constructor(port: number, localAddress: string, tally: Tally, events: PeerEvents) {
    this.#tally = tally
    this.#events = events
    this.#socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
    let isOpen = false
    this.#socket.once('connect', () => {
      isOpen = true
      tally.opened++
      events.opened?.(this)
    })
    this.#socket.on('data', (chunk: Buffer) => this.#hear(chunk))
    this.#socket.on('drain', () => events.drained?.(this))
    // It is closed right after.
    this.#socket.on('error', () => {})
    this.#socket.once('close', () => {
      if (isOpen) tally.closed++
      else tally.failed++
      events.closed?.(this)
    })
  }

  /** @returns whether there is room for more */
  write(bytes: string | Uint8Array): boolean {
    if (this.#socket.destroyed || !this.#socket.writable) return false
    this.#tally.octets += bytes.length
    return this.#socket.write(bytes)
  }

  /** Closes without a reply, and reports nothing any more. */
  abandon(): void {
    this.#socket.removeAllListeners()
    this.#socket.on('error', () => {})
    this.#socket.destroy()
  }

  #hear(chunk: Buffer): void {
    const input = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk])
    this.#partial = EMPTY
    for (let at = 0; at < input.length;) {
      const end = input.indexOf(LF, at)
      if (end === -1) {
        // A line of a reply is short. Other input is not kept.
        this.#partial = Buffer.from(input.subarray(at, at + 1_000))
        return
      }
      // A line that is not the last of its reply has '-' there.
      if (input[at + 3] === BLANK) this.#reply(input, at)
      at = end + 1
    }
  }

  #reply(input: Buffer, at: number): void {
    const code = Number(input.toString('latin1', at, at + 3))
    this.#tally.replies[code] = (this.#tally.replies[code] ?? 0) + 1
    this.#events.replied?.(code, this)
  }
}
