/**
 * The wait for the close, after `end`.
 *
 * The peer may go on sending, and the caller may go on reading. If the caller does not read, the peer must not wait for it for
 * ever, and must not be reset while our last bytes are on their way. So bytes that nobody reads are dropped, until the peer ends
 * too, or until nothing has moved for `lingerMs`.
 */

/** How often in `lingerMs` `linger` looks whether anything has moved. Two looks without a read mean that nobody reads any more. */
const LOOKS = 5

/** An end that has ended. */
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

/** Waits as long as the peer takes what was written, or somebody reads what it sends. Returns a function that ends the wait. */
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
