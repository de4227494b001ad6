/**
 * Flow control: how many binary frames an end may send, counted from the first one.
 *
 * A WebSocket takes in whatever comes, whether anybody reads it or not; so nobody sends a frame that the other end has not
 * allowed before. Frames are counted, not bytes: a frame is at most {@link MAX_FRAME_BYTES}, so frames bound the memory,
 * and tiny ones, which cost more than their bytes, too.
 *
 * A front that can still make the handshake of STARTTLS must not read what the client says behind the reply to STARTTLS,
 * for that is TLS. So towards such a front:
 * - what the server sends takes back what the front was allowed and has not used. The front sees the reply before it
 *   passes it on, and so sends on nothing that answers it, until the server asks for it.
 * - the server allows something only when it reads and nothing is there: one frame, and twice as many each time that it
 *   reads on without having said anything in between, so that a long message flows at full speed soon.
 */

/** Bytes of the connection in one frame. */
export const MAX_FRAME_BYTES = 32_768
/** Frames that may be on the way or wait unread, in each direction. */
export const WINDOW_FRAMES = 16

/** What we allow the peer. */
export class Allowance {
  /** Towards a front that may yet have to make a handshake. */
  isCareful: boolean
  #received = 0
  #consumed = 0
  /** What counts now. */
  #allowed: number
  /** The most that ever counted: frames up to it may be on their way. */
  #most: number
  /** Frames that are allowed at the next time, where that is done with care. */
  #burst = 1

  constructor(isCareful: boolean) {
    this.isCareful = isCareful
    this.#allowed = this.#most = isCareful ? 0 : WINDOW_FRAMES
  }

  /** Whether the peer has used up all that it was allowed. */
  get isUsedUp(): boolean {
    return this.#received >= this.#allowed
  }

  /** A frame came in. Whether it was allowed. */
  receive(): boolean {
    this.#received++
    return this.#received <= this.#most
  }

  /** A frame that came in no longer takes any room. */
  consume(): void {
    this.#consumed++
  }

  /** All frames that came in are gone. */
  consumeAll(): void {
    this.#consumed = this.#received
  }

  /** We said something, and with that have taken back what the peer has not used. */
  takeBack(): void {
    if (!this.isCareful) return
    this.#allowed = this.#received
    this.#burst = 1
  }

  /** What the peer is to be told now, or undefined. @param isReading Somebody waits for bytes. */
  next(isReading: boolean): number | undefined {
    if (this.isCareful) {
      if (!isReading || !this.isUsedUp) return undefined
      this.#allow(this.#received + this.#burst)
      this.#burst = Math.min(this.#burst * 2, WINDOW_FRAMES)
      return this.#allowed
    }
    // Half a window at a time: a message for each frame would double their number.
    if (this.#consumed + WINDOW_FRAMES - this.#allowed < WINDOW_FRAMES / 2) return undefined
    this.#allow(this.#consumed + WINDOW_FRAMES)
    return this.#allowed
  }

  #allow(frames: number): void {
    this.#allowed = frames
    this.#most = Math.max(this.#most, frames)
  }
}

/** What the peer allows us. */
export class Credit {
  /** What the peer sends takes back what it has allowed. */
  isCareful: boolean
  #sent = 0
  #allowed: number

  constructor(isCareful: boolean) {
    this.isCareful = isCareful
    this.#allowed = isCareful ? 0 : WINDOW_FRAMES
  }

  /** Frames that may be sent now. */
  get frames(): number {
    return this.#allowed - this.#sent
  }

  spend(): void {
    this.#sent++
  }

  /** Whether the peer may allow that: one that allows more than a window would have us send without a bound. */
  allow(frames: number): boolean {
    this.#allowed = frames
    return frames <= this.#sent + WINDOW_FRAMES
  }

  /** The peer said something. */
  takeBack(): void {
    if (this.isCareful) this.#allowed = this.#sent
  }
}
