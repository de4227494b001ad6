/**
 * Letter case as a secret: a server copies the question as it was asked, so someone who can't see the query has to guess the
 * case of each letter too (draft-vixie-dnsext-dns0x20).
 */

/** Gives each letter a case by chance. @param bits One for each character; longer than the name */
export function mixCase(name: string, bits: Uint8Array): string {
  return Array.from(name, (letter, at) => ((bits[at] ?? 0) & 1 ? letter.toUpperCase() : letter)).join('')
}
