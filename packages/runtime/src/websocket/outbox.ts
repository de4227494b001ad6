/**
 * Sends messages and bytes by a WebSocket. Messages leave at once, and bytes when the peer allows them. The other bytes
 * wait here.
 */
import { type Control, writeControl } from './control.ts'
import { Credit, MAX_FRAME_BYTES } from './credit.ts'
import { OPEN, type WebSocketLike } from './socket.ts'

/** Bounds the bytes that wait in the WebSocket itself. Everything that the peer may allow, and all messages, are less. */
const MAX_BUFFERED_BYTES = 2_097_152

/** What an outbox reports to its duplex. */
export interface OutboxEvents {
  /** All bytes have left. */
  sent(): void
  /** Nothing can be sent any more. */
  failed(error: Error): void
}

export class Outbox {
  readonly credit: Credit
  readonly #socket: WebSocketLike
  readonly #events: OutboxEvents
  #unsent: Uint8Array | undefined

  constructor(socket: WebSocketLike, isCareful: boolean, events: OutboxEvents) {
    this.credit = new Credit(isCareful)
    this.#socket = socket
    this.#events = events
  }

  /** Bytes that wait. */
  get unsentBytes(): number {
    return this.#unsent?.byteLength ?? 0
  }

  /** Takes bytes to send. Nothing waits when it is called. */
  put(bytes: Uint8Array): void {
    if (bytes.byteLength > 0) this.#unsent = bytes
  }

  /** Sends as many of the bytes as the peer allows. Returns whether any were sent. */
  flush(): boolean {
    let rest = this.#unsent
    if (rest === undefined) return false
    const before = rest.byteLength
    while (rest.byteLength > 0 && this.credit.frames > 0) {
      this.credit.spend()
      if (!this.#send(rest.subarray(0, MAX_FRAME_BYTES))) return false
      rest = rest.subarray(MAX_FRAME_BYTES)
    }
    this.#unsent = rest.byteLength === 0 ? undefined : rest
    if (this.#unsent === undefined) this.#events.sent()
    return rest.byteLength < before
  }

  /** Takes the waiting bytes, if there are any, and lets their writer go on. */
  takeUnsent(): Uint8Array | undefined {
    const bytes = this.#unsent
    this.#unsent = undefined
    this.#events.sent()
    return bytes
  }

  say(control: Control): void {
    this.#send(writeControl(control))
  }

  /** Sends a frame. Returns whether that worked. */
  #send(frame: string | Uint8Array): boolean {
    const socket = this.#socket
    if (socket.readyState !== OPEN) return false
    try {
      if ((socket.bufferedAmount ?? 0) > MAX_BUFFERED_BYTES) throw new Error('the other end of the pipe does not read')
      socket.send(frame as string | Uint8Array<ArrayBuffer>)
      return true
    } catch (error) {
      this.#events.failed(error as Error)
      return false
    }
  }
}
