/** Text in the octets of a mechanism, and the steps that several mechanisms take. */
import type { Step } from './mechanism.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export const MALFORMED: Step = { isMalformed: true }
export const REFUSED: Step = { isRefused: true }

/** Decodes a response. Returns undefined if it is not UTF-8. */
export function textOf(response: Uint8Array): string | undefined {
  try {
    return utf8.decode(response)
  } catch {
    return undefined
  }
}

export function octetsOf(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>
}

export function challenge(text: string): Step {
  return { challenge: octetsOf(text) }
}

/** Combines octets of two texts of the same length by XOR. */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(a, (octet, index) => octet ^ (b[index] ?? 0))
}

/** Compares in a time that depends only on the lengths. */
export function isSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (const [index, octet] of a.entries()) difference |= octet ^ (b[index] ?? 0)
  return difference === 0
}

/** Returns random text of the letters and digits of base64url. 24 octets make 32 characters. */
export function randomText(octets: number): string {
  const random = crypto.getRandomValues(new Uint8Array(octets))
  return btoa(String.fromCharCode(...random))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
