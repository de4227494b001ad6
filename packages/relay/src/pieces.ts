/** Messages in pieces. */

/** A message in pieces. A piece may change when the next one is asked for. */
export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/** Puts bytes on top of a message. */
export async function* onTop(top: Uint8Array, pieces: Pieces): AsyncGenerator<Uint8Array, void, undefined> {
  if (top.length > 0) yield top
  yield* pieces
}

/** Copies pieces into one. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let used = 0
  for (const piece of pieces) {
    bytes.set(piece, used)
    used += piece.length
  }
  return bytes
}
