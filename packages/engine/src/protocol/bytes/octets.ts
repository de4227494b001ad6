/** Octets that go over the wire once. */

/** What many share; the last view of it that anybody holds keeps so much alive. */
const BLOCK_OCTETS = 8_192
/** More is rare, and would leave much of a block unused. */
const MAX_SHARED_OCTETS = 1_024

const encoder = new TextEncoder()
let block = new Uint8Array(BLOCK_OCTETS)
let used = 0

/**
 * Room for so many octets, which nobody else uses: a view of a block that many share and none is written over. An allocation
 * for each costs three times what filling it does, and more again when it is collected.
 */
export function allocate(octets: number): Uint8Array {
  if (octets > MAX_SHARED_OCTETS) return new Uint8Array(octets)
  if (used + octets > BLOCK_OCTETS) {
    block = new Uint8Array(BLOCK_OCTETS)
    used = 0
  }
  const start = used
  used += octets
  return block.subarray(start, used)
}

/** Octets of ASCII text, in such a room. */
export function encodeAscii(text: string): Uint8Array {
  const octets = allocate(text.length)
  encoder.encodeInto(text, octets)
  return octets
}
