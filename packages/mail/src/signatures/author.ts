/** The domains of the addresses in a From field (RFC 5322 3.6.2, RFC 6854). */
import { asciiDomain } from '@postern/engine'

/** No program writes more authors into a message. */
const MAX_ADDRESSES = 50

const decoder = new TextDecoder('utf-8')

/**
 * Returns the domain of each address, in ASCII.
 *
 * @param value What follows the colon, without folds. Each character is one octet
 * @returns undefined if the field has no address, more than 50, or one without a domain
 */
export function domainsOfFrom(value: string): readonly string[] | undefined {
  const mailboxes = mailboxesIn(decoder.decode(Uint8Array.from(value, (octet) => octet.charCodeAt(0))))
  if (mailboxes === undefined || mailboxes.length === 0) return undefined
  const domains = mailboxes.map((mailbox) => {
    const at = mailbox.lastIndexOf('@')
    return at < 1 ? undefined : asciiDomain(mailbox.slice(at + 1))
  })
  return domains.every((domain) => domain !== undefined) ? domains : undefined
}

/** Returns the addresses without names, comments and blanks. Reads each character once. */
function mailboxesIn(text: string): string[] | undefined {
  const found: string[] = []
  /** The characters of the address so far. A name in front of an angle bracket is dropped when the bracket comes. */
  let mailbox = ''
  let place: 'before' | 'inside' | 'behind' = 'before'
  let depth = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === '\\' && (isQuoted || depth > 0)) {
      at++
      // Never an at sign: the last one outside of quotes divides the address.
      if (depth === 0) mailbox += '_'
    } else if (depth > 0) {
      if (character === '(') depth++
      else if (character === ')') depth--
    } else if (isQuoted) {
      if (character === '"') isQuoted = false
      else mailbox += character === '@' ? '_' : character
    } else if (character === '"') {
      isQuoted = true
      mailbox += '_'
    } else if (character === '(') depth = 1
    else if (character === '<') {
      // Two brackets in one address, or one inside another, have no one meaning.
      if (place !== 'before') return undefined
      place = 'inside'
      mailbox = ''
    } else if (character === '>') {
      if (place !== 'inside') return undefined
      place = 'behind'
    } else if (character === ',' || character === ';') {
      if (place === 'inside') return undefined
      if (mailbox !== '' && found.push(mailbox) > MAX_ADDRESSES) return undefined
      mailbox = ''
      place = 'before'
    } else if (character === ':') {
      // The name of a group, or the end of a source route.
      mailbox = ''
    } else if (character !== ' ' && character !== '\t') {
      if (place === 'behind') return undefined
      mailbox += character
    }
  }
  if (isQuoted || depth > 0 || place === 'inside') return undefined
  if (mailbox !== '') found.push(mailbox)
  return found
}
