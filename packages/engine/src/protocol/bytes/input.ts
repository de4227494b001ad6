const EMPTY = new Uint8Array(0)

/** What was received and not used up yet. */
export class Input {
  bytes: Uint8Array = EMPTY
  /** Where the part begins that is not used up. */
  position = 0
  /** Whether nothing will follow. */
  isEnded = false

  get isEmpty(): boolean {
    return this.position >= this.bytes.length
  }

  /** The next octets, at most so many, as a view; undefined where there are none. */
  take(most: number): Uint8Array | undefined {
    const { bytes, position: start } = this
    const end = Math.min(bytes.length, start + most)
    if (end <= start) return undefined
    this.position = end
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
  }

  /** Lets go of what was received: a connection that waits must not hold on to the buffer of its last read. */
  clear(): void {
    this.bytes = EMPTY
    this.position = 0
  }
}
