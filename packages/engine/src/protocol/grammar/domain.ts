/**
 * Domains that are to be compared or looked up: RFC 5321 2.3.5, RFC 5890 2.3.2.1 (A-labels and U-labels), RFC 1035 2.3.4 (lengths).
 *
 * URL is the only IDNA of every runtime, but it is made for web addresses: it decodes `%70`, reads `x@y` as `y`, reads `0x7f.1` as
 * an IPv4 address, and takes or refuses `xn--a` depending on the runtime. So a label of ASCII never goes through it. A label that
 * is not ASCII goes through it alone, and must become an A-label.
 */

const NOT_ASCII = /[^\x00-\x7f]/
/** RFC 1035 2.3.4, without the octets for the lengths and the root. */
const MAX_OCTETS = 253
/** More UTF-16 units than a domain of 253 octets has when its labels are written as U-labels. */
const MAX_UNITS = 512
/** A label in lower case. The grammar allows no underscore, but real names have it. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** Characters that are ASCII and may stand beside others in a U-label. URL gives a meaning to some of the others. */
const U_LABEL = /^[a-z0-9_\u{a0}-\u{10ffff}](?:[a-z0-9_\u{a0}-\u{10ffff}-]{0,253}[a-z0-9_\u{a0}-\u{10ffff}])?$/iu
/** What URL makes of `http://LABEL.a` if the label is a U-label. */
const A_LABEL = /^(xn--[a-z0-9_-]{1,59})\.a$/

/**
 * Returns the form of a domain that is equal for all its spellings: in lower case, with A-labels for U-labels, without the dot of
 * the root. Returns undefined if the text is not a domain. An address literal is not one.
 *
 * A label that is not ASCII never becomes one that is: the Kelvin sign is not a k here, and fullwidth letters are not ASCII,
 * although browsers map them (RFC 5890 2.3.2.1 has no such U-labels). Other letters are mapped as browsers do, because people type
 * them: upper case, and the Thai letter sara am. The text of an A-label is not checked.
 */
export function asciiDomain(text: string): string | undefined {
  if (text.length > MAX_UNITS) return undefined
  const labels = text.split('.')
  if (labels.length > 1 && labels.at(-1) === '') labels.pop()
  let domain = ''
  for (const label of labels) {
    const ascii = NOT_ASCII.test(label) ? aLabel(label) : label.toLowerCase()
    if (ascii === undefined || !LABEL.test(ascii)) return undefined
    domain += domain === '' ? ascii : `.${ascii}`
  }
  return domain.length > MAX_OCTETS ? undefined : domain
}

/** Returns whether two texts are the same domain, however each is written. Returns false if one of them is not a domain. */
export function sameDomain(one: string, other: string): boolean {
  const domain = asciiDomain(one)
  return domain !== undefined && domain === asciiDomain(other)
}

/** Returns the A-label of a U-label; undefined if the label is not one. */
function aLabel(label: string): string | undefined {
  if (!U_LABEL.test(label)) return undefined
  try {
    // Another label follows, so that URL does not look for an IPv4 address.
    return A_LABEL.exec(new URL(`http://${label}.a`).hostname)?.[1]
  } catch {
    return undefined
  }
}
