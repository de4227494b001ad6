/**
 * Flow control: how many binary frames an end may send, counted from the first one.
 *
 * A WebSocket receives whatever comes, even if nobody reads it. So an end sends a frame only if the other end has allowed it.
 * Frames are counted, not bytes. A frame is at most {@link MAX_FRAME_BYTES}, so that the count bounds the memory, also of tiny
 * frames, which cost more than their bytes.
 *
 * A front that can still make the handshake of STARTTLS must not pass on what the client sends after the reply to STARTTLS,
 * because that is TLS. So towards such a front:
 * - whatever the server sends takes back what the front was allowed and has not used. The front sees the reply before the client
 *   does, and then passes nothing on until the server asks for it.
 * - the server allows frames only when it reads and nothing is there. It allows one frame, and twice as many each time that it
 *   reads again without having sent anything. So a long message soon flows at full speed.
 */

/** Bytes of the connection in one frame. */
export const MAX_FRAME_BYTES = 32_768
/** Frames that may be under way or unread, in each direction. */
export const WINDOW_FRAMES = 16

/** What we allow the peer. */
export class Allowance {
  /** The peer is a front that may still have to make a handshake. */
  isCareful: boolean
  #received = 0
  #consumed = 0
  /** The number of frames that is allowed now. */
  #allowed: number
  /** The largest number that was ever allowed. Frames up to it may be under way. */
  #most: number
  /** How many frames are allowed next, if `isCareful`. */
  #burst = 1

  constructor(isCareful: boolean) {
    this.isCareful = isCareful
    this.#allowed = this.#most = isCareful ? 0 : WINDOW_FRAMES
  }

  /** The peer has used up all that it was allowed. */
  get isUsedUp(): boolean {
    return this.#received >= this.#allowed
  }

  /** Counts a frame that came in. Returns whether it was allowed. */
  receive(): boolean {
    this.#received++
    return this.#received <= this.#most
  }

  /** Counts a frame that came in and takes no memory any more. */
  consume(): void {
    this.#consumed++
  }

  /** Notes that no frame that came in takes memory any more. */
  consumeAll(): void {
    this.#consumed = this.#received
  }

  /** Takes back what the peer has not used, because we have sent something. */
  takeBack(): void {
    if (!this.isCareful) return
    this.#allowed = this.#received
    this.#burst = 1
  }

  /** Returns what to allow the peer now, or undefined if nothing changes. @param isReading Somebody waits for bytes. */
  next(isReading: boolean): number | undefined {
    if (this.isCareful) {
      if (!isReading || !this.isUsedUp) return undefined
      this.#allow(this.#received + this.#burst)
      this.#burst = Math.min(this.#burst * 2, WINDOW_FRAMES)
      return this.#allowed
    }
    // Half a window at a time, because a message for each frame would double the number of frames.
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
  /** Whatever the peer sends takes back what it has allowed. */
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

  /** Takes what the peer allows. Returns false if it is more than a window, because then the memory would not be bounded. */
  allow(frames: number): boolean {
    this.#allowed = frames
    return frames <= this.#sent + WINDOW_FRAMES
  }

  /** Takes back what is allowed, because the peer has sent something. */
  takeBack(): void {
    if (this.isCareful) this.#allowed = this.#sent
  }
}
