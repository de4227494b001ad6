/**
 * The wait for the close, after `end`.
 * The peer may go on sending, and the caller may go on reading. If the caller does not read, the peer must not wait for
 * ever. It must not be reset either, while our last bytes are on their way. So bytes that nobody reads are dropped,
 * until the peer ends too, or until nothing has moved for `lingerMs`.
 */

/**
 * `linger` looks this often in `lingerMs` if anything has moved. If nobody has read between two looks, nobody reads any
 * more.
 */
const LOOKS = 5

/** A connection after its `end`. */
export interface Lingering {
  /** Counts the bytes that were written and have not left. */
  unsentBytes(): number
  /** Returns whether anybody has read since the last call. */
  wasRead(): boolean
  /** Drops what the peer sends from here on, because nobody reads. May be called more than once. */
  throwAway(): void
  /** Closes the connection, because nothing has moved for `lingerMs`. */
  giveUp(): void
}

/** Waits as long as the peer takes our bytes or somebody reads the peer's. Returns a function that ends the wait. */
export function linger(end: Lingering, lingerMs: number): () => void {
  let looksLeft = LOOKS
  let unsentBytes = end.unsentBytes()
  end.wasRead()
  const timer = setInterval(() => {
    const before = unsentBytes
    unsentBytes = end.unsentBytes()
    // `wasRead` counts from one call to the next, so it is called at every look.
    const isRead = end.wasRead()
    if (isRead || unsentBytes < before) {
      looksLeft = LOOKS
      return
    }
    if (looksLeft < LOOKS) end.throwAway()
    looksLeft -= 1
    if (looksLeft > 0) return
    clearInterval(timer)
    end.giveUp()
  }, lingerMs / LOOKS)
  return () => clearInterval(timer)
}
