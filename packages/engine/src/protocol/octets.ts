/** Octets of text that goes over the wire once. */

/** What many texts share; the last view of it that anybody holds keeps so much alive. */
const BLOCK_OCTETS = 8_192
/** Longer texts are rare, and would leave much of a block unused. */
const MAX_SHARED_LENGTH = 1_024

const encoder = new TextEncoder()
let block = new Uint8Array(BLOCK_OCTETS)
let used = 0

/**
 * Octets of ASCII text, not to be changed: a view of a block that many texts share and none is written over. An allocation
 * for each costs three times what the encoding does, and more again when it is collected.
 */
export function encodeAscii(text: string): Uint8Array {
  if (text.length > MAX_SHARED_LENGTH) return encoder.encode(text)
  if (used + text.length > BLOCK_OCTETS) {
    block = new Uint8Array(BLOCK_OCTETS)
    used = 0
  }
  const start = used
  used += encoder.encodeInto(text, block.subarray(start)).written
  return block.subarray(start, used)
}
