/** One session. It writes its script, and checks the code of every reply. */
import { createSecureContext } from 'node:tls'
import { bun, type BunHandlers, type BunSocket, type NativeContext } from '../bun.ts'
import type { Script, Step } from './script.ts'

/** Decides what a session does next, and gets the results. */
export interface Director {
  /** The opening or a message is done. True: send a message; false: QUIT; undefined: wait for `resume`. */
  next(client: Client): boolean | undefined
  delivered(client: Client): void
  closed(client: Client): void
  failed(reason: string): void
}

const LF = 10
const BLANK = 32
const ZERO = 48
const EMPTY = new Uint8Array(0)

export class Client {
  readonly #script: Script
  readonly #director: Director
  #socket: BunSocket<Client> | undefined
  #steps: readonly Step[]
  #step = 0
  /** Replies to this step that have come. */
  #replies = 0
  #isClosed = false
  #unsent: Uint8Array = EMPTY
  #partial: Uint8Array = EMPTY

  constructor(script: Script, director: Director) {
    this.#script = script
    this.#director = director
    this.#steps = script.opening
  }

  connect(port: number): void {
    bun
      .connect<Client>({ hostname: '127.0.0.1', port, data: this, socket: HANDLERS })
      .catch((error: Error) => this.#director.failed(`can't connect: ${error.message}`))
  }

  /** Goes on after the director had it wait. */
  resume(shallSend: boolean): void {
    this.#begin(shallSend ? this.#script.message : this.#script.closing)
  }

  /** Closes without QUIT. */
  end(): void {
    this.#socket?.end()
  }

  // From the socket

  opened(socket: BunSocket<Client>): void {
    this.#socket = socket
    socket.setNoDelay(true)
  }

  received(socket: BunSocket<Client>, bytes: Uint8Array): void {
    // The socket under TLS still sees ciphertext.
    if (socket !== this.#socket) return
    let input = bytes
    if (this.#partial.length > 0) {
      input = Buffer.concat([this.#partial, bytes])
      this.#partial = EMPTY
    }
    for (let at = 0; at < input.length;) {
      const end = input.indexOf(LF, at)
      if (end === -1) {
        this.#partial = input.slice(at)
        return
      }
      // A line that is not the last of its reply has '-' there.
      if (input[at + 3] === BLANK) this.#reply(input, at)
      at = end + 1
    }
  }

  drained(): void {
    if (this.#unsent.length > 0) this.#write(this.#unsent)
  }

  secured(): void {
    this.#step++
    this.#write((this.#steps[this.#step] as Step).bytes)
  }

  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#director.closed(this)
  }

  broken(error: Error): void {
    this.#director.failed(`the connection broke: ${error.message}`)
  }

  /** True if it was closed at the right time: after the reply to QUIT. */
  get isDone(): boolean {
    return this.#steps === this.#script.closing && this.#step === this.#steps.length
  }

  #reply(input: Uint8Array, at: number): void {
    const code = (at0(input, at) * 10 + at0(input, at + 1)) * 10 + at0(input, at + 2)
    const step = this.#steps[this.#step]
    if (step === undefined || code !== step.codes[this.#replies]) {
      const line = Buffer.from(input.subarray(at)).toString('latin1').split('\r\n', 1)[0]
      this.#director.failed(`'${line}' in place of ${step?.codes[this.#replies] ?? 'nothing'}`)
      return
    }
    if (++this.#replies < step.codes.length) return
    this.#replies = 0
    if (step.secures === true) return this.#secure()
    const next = this.#steps[++this.#step]
    if (next === undefined) this.#done()
    else this.#write(next.bytes)
  }

  #done(): void {
    if (this.#steps === this.#script.closing) return this.end()
    if (this.#steps === this.#script.message) this.#director.delivered(this)
    const shallSend = this.#director.next(this)
    if (shallSend !== undefined) this.resume(shallSend)
  }

  #begin(steps: readonly Step[]): void {
    this.#steps = steps
    this.#step = 0
    this.#write((steps[0] as Step).bytes)
  }

  #write(bytes: Uint8Array): void {
    const taken = this.#socket?.write(bytes) ?? 0
    this.#unsent = taken < bytes.length ? bytes.subarray(Math.max(taken, 0)) : EMPTY
  }

  #secure(): void {
    const clear = this.#socket as BunSocket<Client>
    const [, secure] = clear.upgradeTLS<Client>({ data: this, isServer: false, tls: TLS, socket: TLS_HANDLERS })
    this.#socket = secure
  }
}

function at0(input: Uint8Array, at: number): number {
  return (input[at] ?? 0) - ZERO
}

const COMMON = {
  data: (socket: BunSocket<Client>, bytes: Uint8Array) => socket.data.received(socket, bytes),
  drain: (socket: BunSocket<Client>) => socket.data.drained(),
  close: (socket: BunSocket<Client>) => socket.data.closed(),
  error: (socket: BunSocket<Client>, error: Error) => socket.data.broken(error),
}
const HANDLERS: BunHandlers<Client> = {
  ...COMMON,
  open: (socket) => socket.data.opened(socket),
  connectError: (socket, error) => socket.data.broken(error),
}
const TLS_HANDLERS: BunHandlers<Client> = { ...COMMON, handshake: (socket) => socket.data.secured() }

/** Made once, because making one costs more than a handshake. */
const TLS = { rejectUnauthorized: false, secureContext: nativeContext() }

function nativeContext(): NativeContext {
  return (createSecureContext() as unknown as { readonly context: NativeContext }).context
}
