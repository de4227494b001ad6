/**
 * Flow control: how many binary frames an end may send, counted from the first one.
 *
 * A WebSocket receives every frame, even if nobody reads. So an end sends a frame only if the other end has allowed it.
 * Frames are counted, not bytes. A frame is at most {@link MAX_FRAME_BYTES}, so the count bounds the memory. It also
 * bounds tiny frames, which need more memory than their bytes.
 *
 * A front that can still make the handshake of STARTTLS must not pass on what the client sends after the reply to
 * STARTTLS, because that is TLS. So for such a front:
 * - every frame of the server takes back what the front was allowed and has not used. The front sees the reply before
 *   the client does, and then passes nothing on until the server asks for it.
 * - the server allows frames only when it reads and has no bytes. It allows one frame, then twice as many each time
 *   that it reads again and has sent nothing meanwhile. So a long message soon flows at full speed.
 */

/** Bytes of the connection in one frame. */
export const MAX_FRAME_BYTES = 32_768
/** Frames that may be on their way or unread, in each direction. */
export const WINDOW_FRAMES = 16

/** What this end allows the peer. */
export class Allowance {
  /** True if the peer is a front that may still have to make a handshake. */
  isCareful: boolean
  #received = 0
  #consumed = 0
  /** The number of frames that is allowed now. */
  #allowed: number
  /** The largest number that was ever allowed. Frames up to it may be on their way. */
  #most: number
  /** How many frames are allowed next, if `isCareful`. */
  #burst = 1

  constructor(isCareful: boolean) {
    this.isCareful = isCareful
    this.#allowed = this.#most = isCareful ? 0 : WINDOW_FRAMES
  }

  /** True if the peer has used all that it was allowed. */
  get isUsedUp(): boolean {
    return this.#received >= this.#allowed
  }

  /** Counts a frame that came in. Returns whether it was allowed. */
  receive(): boolean {
    this.#received++
    return this.#received <= this.#most
  }

  /** Counts a received frame that needs no memory any more. */
  consume(): void {
    this.#consumed++
  }

  /** Notes that no received frame needs memory any more. */
  consumeAll(): void {
    this.#consumed = this.#received
  }

  /** Takes back what the peer has not used, because this end has sent something. */
  takeBack(): void {
    if (!this.isCareful) return
    this.#allowed = this.#received
    this.#burst = 1
  }

  /**
   * Returns what to allow the peer now, or undefined if nothing changes.
   * @param isReading True if somebody waits for bytes.
   */
  next(isReading: boolean): number | undefined {
    if (this.isCareful) {
      if (!isReading || !this.isUsedUp) return undefined
      this.#allow(this.#received + this.#burst)
      this.#burst = Math.min(this.#burst * 2, WINDOW_FRAMES)
      return this.#allowed
    }
    // Allows half a window at a time, because a message for each frame would double the number of frames.
    if (this.#consumed + WINDOW_FRAMES - this.#allowed < WINDOW_FRAMES / 2) return undefined
    this.#allow(this.#consumed + WINDOW_FRAMES)
    return this.#allowed
  }

  #allow(frames: number): void {
    this.#allowed = frames
    this.#most = Math.max(this.#most, frames)
  }
}

/** What the peer allows this end. */
export class Credit {
  /** True if every frame of the peer takes back what it has allowed. */
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

  /**
   * Takes what the peer allows. Returns false if it is more than a window, because then the memory would not be
   * bounded.
   */
  allow(frames: number): boolean {
    this.#allowed = frames
    return frames <= this.#sent + WINDOW_FRAMES
  }

  /** Takes back what is allowed, because the peer has sent something. */
  takeBack(): void {
    if (this.isCareful) this.#allowed = this.#sent
  }
}
