/** What the server of the contract sends, for both of its sides. */

/** An address that only wrong answers have. */
export const EVIL = '203.0.113.66'

/** Longer than a datagram that is asked for. */
export const MANY: readonly string[] = Array.from({ length: 120 }, (_, at) => `192.0.2.${at + 1}`)

/** As long as strings may be. A character of two octets begins in one and ends in the next. */
export const LONG_STRINGS: readonly Uint8Array[] = [
  new TextEncoder().encode(`v=DKIM1; p=${'x'.repeat(244)}`),
  new Uint8Array([...new TextEncoder().encode('y'.repeat(254)), 0xc3]),
  new Uint8Array([0xa4, ...new TextEncoder().encode('z'.repeat(20))]),
]
export const LONG_TEXT: string = `v=DKIM1; p=${'x'.repeat(244)}${'y'.repeat(254)}ä${'z'.repeat(20)}`

export const TLSA_DATA: Uint8Array = Uint8Array.from({ length: 32 }, (_, at) => at * 7)

export const SLOW_TEXT = 'this comes a byte at a time'
