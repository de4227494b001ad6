const EMPTY = new Uint8Array(0)

/** Bytes that were received and are not used up yet. */
export class Input {
  bytes: Uint8Array = EMPTY
  /** The beginning of the part that is not used up. */
  position = 0
  /** True if nothing will follow. */
  isEnded = false

  get isEmpty(): boolean {
    return this.position >= this.bytes.length
  }

  /** Returns a view of the next octets, at most `most`; undefined if there are none. */
  take(most: number): Uint8Array | undefined {
    const { bytes, position: start } = this
    const end = Math.min(bytes.length, start + most)
    if (end <= start) return undefined
    this.position = end
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
  }

  /**
   * Drops the reference to the received bytes, so that a waiting connection does not keep the buffer of its last read in
   * memory.
   */
  clear(): void {
    this.bytes = EMPTY
    this.position = 0
  }
}
