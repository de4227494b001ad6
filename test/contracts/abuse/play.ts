/** Plays a session: does what its steps say, and notes what the server made of it. */
import { setImmediate } from 'node:timers'
import type { Duplex } from '@postern/engine'
import { within } from '../../kit/waiting.ts'
import { respond } from './logins.ts'
import { edited } from './mutate.ts'
import type { Session, Step } from './session.ts'
import type { Seat, Stage } from './stage.ts'
import type { Traffic } from './watched.ts'

/** What happened in a session. */
export interface Played {
  readonly traffic: readonly Traffic[]
  /** Octets that the client has read (Latin-1). */
  readonly heard: string
  /** True if the client reset the connection or stopped reading, so that the server could not tell it everything. */
  readonly hasLeft: boolean
  readonly kept: readonly string[]
  readonly errors: readonly unknown[]
}

/** Longer than any session takes on a busy machine. */
const HANG_MS = 60_000

/** Plays a session to its end. @throws TooLate if it does not end */
export async function play(session: Session, stage: Stage): Promise<Played> {
  const seat = await stage.seat(session.manner)
  const client = new AbusiveClient(seat)
  try {
    await within(client.play(session.steps), 'the session', HANG_MS)
  } finally {
    seat.client.destroy()
  }
  const { kept, errors, server } = seat
  return { traffic: server.traffic, heard: client.heard, hasLeft: client.hasLeft, kept, errors }
}

class AbusiveClient {
  heard = ''
  hasLeft = false
  readonly #seat: Seat
  readonly #duplex: Duplex
  #sentOctets = 0
  #hasEnded = false
  /** The last write that had to wait. */
  #write: Promise<void> | undefined

  constructor(seat: Seat) {
    this.#seat = seat
    this.#duplex = seat.client
  }

  async play(steps: readonly Step[]): Promise<void> {
    const { server } = this.#seat
    const reading = this.#read()
    for (const step of steps) {
      if (server.isOver) break
      await this.#do(step)
    }
    await this.#settled()
    this.#end()
    await server.ended()
    if (!this.hasLeft) await reading
  }

  async #do(step: Step): Promise<void> {
    const { server } = this.#seat
    switch (step.do) {
      case 'send':
        return this.#send(step.octets, step.by)
      case 'respond':
        return this.#send(`${this.#response(step)}\r\n`)
      case 'wait':
        return this.#settled()
      case 'tls':
        return this.#startTls()
      case 'pause':
        return turn()
      case 'idle':
        return server.ended()
      case 'deaf':
        this.hasLeft = true
        return
      case 'end':
        await this.#settled()
        return this.#end()
      case 'reset':
        this.hasLeft = true
        this.#hasEnded = true
        this.#duplex.destroy()
        return
    }
  }

  /** Writes after earlier writes. Does not wait for a server that takes no more now: the octets follow later. */
  async #send(text: string, by: number = text.length): Promise<void> {
    const { server } = this.#seat
    for (let at = 0; at < text.length && !this.#hasEnded && !server.isOver; at += by) {
      const octets = Buffer.from(text.slice(at, at + by), 'latin1')
      this.#sentOctets += octets.length
      const written =
        this.#write === undefined ? this.#transmit(octets) : this.#write.then(() => this.#transmit(octets))
      if (written === undefined) continue
      const done = written.catch(() => {})
      this.#write = done
      await Promise.race([done, server.quiet(Infinity, !this.hasLeft)])
    }
  }

  #transmit(octets: Uint8Array): Promise<void> | undefined {
    try {
      return this.#duplex.write(octets) ?? undefined
    } catch {
      return undefined
    }
  }

  async #settled(): Promise<void> {
    if (!this.#hasEnded) await this.#seat.server.quiet(this.#sentOctets, !this.hasLeft)
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    void (this.#write ?? Promise.resolve()).then(() => this.#duplex.end()).catch(() => {})
  }

  #response({ how, edits }: Step & { do: 'respond' }): string {
    const [, challenge = ''] = /334 ([^\r\n]*)\r\n$/.exec(this.#seat.server.written) ?? []
    return edits.reduce(edited, respond(how, Buffer.from(challenge, 'base64').toString('latin1')))
  }

  async #startTls(): Promise<void> {
    const { server } = this.#seat
    if (!server.isShakingHands || this.#hasEnded) return
    // No read may be pending: the client first takes the reply to STARTTLS.
    while (this.heard.length < server.writtenOctets && !this.hasLeft && !server.isOver) await turn()
    try {
      await this.#duplex.startTls?.()
      // The client is ready before the server is.
      while (server.isShakingHands && !server.isOver) await server.news
    } catch {
      this.hasLeft = true
      this.#duplex.destroy()
    }
  }

  /** Reads what the server has written, and its end. Reads nothing else, so that the handshake gets its octets. */
  async #read(): Promise<void> {
    const { server } = this.#seat
    try {
      while (!this.hasLeft) {
        if (this.heard.length < server.writtenOctets || server.isEnding) {
          const bytes = await this.#duplex.read()
          if (bytes === null) return this.#end()
          this.heard += Buffer.from(bytes).toString('latin1')
        } else if (server.isOver) {
          return
        } else {
          await server.news
        }
      }
    } catch {
      // The connection broke, as `heard` shows.
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
