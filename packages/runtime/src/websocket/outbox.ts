/** What leaves by a WebSocket: messages at once, bytes as far as the peer allows; the rest of them waits here, and so does its writer. */
import type { Wait } from '../common/wait.ts'
import { type Control, writeControl } from './control.ts'
import { Credit, MAX_FRAME_BYTES } from './credit.ts'
import { OPEN, type WebSocketLike } from './socket.ts'

/** What may wait in the WebSocket itself: all that the peer has allowed, and messages. It allows no more, so this is never met by chance. */
const MAX_BUFFERED_BYTES = 2_097_152

export class Outbox {
  readonly credit: Credit
  readonly #socket: WebSocketLike
  readonly #fail: (error: Error) => void
  #unsent: Uint8Array | undefined
  #writing: Wait<void> | undefined

  /** @param fail Told once nothing can be sent any more. */
  constructor(socket: WebSocketLike, isCareful: boolean, fail: (error: Error) => void) {
    this.credit = new Credit(isCareful)
    this.#socket = socket
    this.#fail = fail
  }

  /** Bytes that wait. */
  get unsentBytes(): number {
    return this.#unsent?.byteLength ?? 0
  }

  /** Takes bytes to send. Nothing waits when it is called. */
  put(bytes: Uint8Array): void {
    if (bytes.byteLength > 0) this.#unsent = bytes
  }

  /** Sends of the bytes what is allowed. Whether any were sent. */
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
    if (this.#unsent === undefined) this.settle()
    return rest.byteLength < before
  }

  /** The wait of the writer whose bytes wait. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writing = { resolve, reject }
    })
  }

  /** Lets the writer go on; with an error, what it wrote is lost. */
  settle(error?: Error): void {
    if (error === undefined) this.#writing?.resolve()
    else this.#writing?.reject(error)
    this.#writing = undefined
  }

  /** Takes the bytes that wait, if there are any, and lets their writer go on. */
  takeUnsent(): Uint8Array | undefined {
    const bytes = this.#unsent
    this.#unsent = undefined
    this.settle()
    return bytes
  }

  say(control: Control): void {
    this.#send(writeControl(control))
  }

  /** Whether it was sent. */
  #send(frame: string | Uint8Array): boolean {
    const socket = this.#socket
    if (socket.readyState !== OPEN) return false
    try {
      if ((socket.bufferedAmount ?? 0) > MAX_BUFFERED_BYTES) throw new Error('the other end of the pipe takes nothing')
      socket.send(frame as string | Uint8Array<ArrayBuffer>)
      return true
    } catch (error) {
      this.#fail(error as Error)
      return false
    }
  }
}
