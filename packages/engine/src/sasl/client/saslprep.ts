/**
 * SASLprep (RFC 4013): makes different spellings of one name or password equal. It uses the normalization of the runtime, whose tables
 * are newer than the RFC's, because the RFC's own tables would be larger than the rest of the engine. It therefore takes characters that the RFC's
 * Unicode did not have, and it does not check the order of right-to-left text (RFC 3454 6).
 */
import { MechanismError } from './mechanism.ts'

const ASCII = /^[\x20-\x7e]*$/
/** RFC 3454 C.1.2 */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g
/** RFC 3454 B.1, without what is a space too. */
const NOTHING = /[\u00ad\u1806\u200c\u2060\ufeff]|\u034f|[\u180b-\u180d]|\u200d|[\ufe00-\ufe0f]/g
/** RFC 3454 C.2 to C.9, in this order: controls, private use, surrogates, plain text, descriptions, display, tags. */
const PROHIBITED =
  /[\0-\x1f\x7f-\x9f\u06dd\u070f\u180e\u2028\u2029\u2061-\u2063\u{1d173}-\u{1d17a}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\ufff9-\ufffd\u2ff0-\u2ffb\u200e\u200f\u202a-\u202e\u206a-\u206f\u{e0001}\u{e0020}-\u{e007f}]/u

/** Prepares a name or a password. @throws MechanismError if nothing is left, or if the text has a prohibited character */
export function saslprep(text: string, what: string): string {
  if (ASCII.test(text) && text !== '') return text
  const prepared = text.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC')
  if (prepared === '' || PROHIBITED.test(prepared)) throw new MechanismError(`SASLprep does not allow this ${what}`)
  return prepared
}
