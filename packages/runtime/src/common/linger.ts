/**
 * The wait for the close, after `end`.
 *
 * The peer may go on sending, and somebody may go on reading it. Where nobody does, the peer must neither wait for a
 * reader that has left, nor be reset while our last bytes are on their way to it: what it sends is then thrown away, until
 * it ends too, or until nothing has moved for `lingerMs`.
 */

/** How often in `lingerMs` it is looked whether anything moves; after two looks that saw nobody read, nobody does. */
const LOOKS = 5

/** An end that has ended. */
export interface Lingering {
  /** What was written and has not left. */
  unsentBytes(): number
  /** Whether anybody has read since the last time that this was asked. */
  wasRead(): boolean
  /** Nobody reads: what the peer sends from here on is thrown away. May be called more than once. */
  throwAway(): void
  /** Nothing has moved for so long. */
  giveUp(): void
}

/** Looks on as long as the peer takes what was written, or somebody reads what it sends. Gives what stops it. */
export function linger(end: Lingering, lingerMs: number): () => void {
  let looksLeft = LOOKS
  let unsentBytes = end.unsentBytes()
  end.wasRead()
  const timer = setInterval(() => {
    const before = unsentBytes
    unsentBytes = end.unsentBytes()
    // Both are asked: the one must not keep the other's answer for the next look.
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
