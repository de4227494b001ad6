/** Names of queries: RFC 1035 2.3.4 for their lengths, RFC 5890 for labels that are not ASCII. */
import { asciiDomain } from '@postern/engine'

const MAX_OCTETS = 253
/** Any visible character but a dot, because names such as `_dmarc` and `0/25` are no host names. The codec has no escape for a backslash. */
const LABEL = /^[\x21-\x2d\x2f-\x5b\x5d-\x7e]{1,63}$/
const ASCII = /^[\x00-\x7f]*$/

/** Returns the name as resolvers ask for it: in lower case, with A-labels, without the dot at the end. undefined: it cannot be a name. */
export function queryName(text: string): string | undefined {
  if (!ASCII.test(text)) return asciiDomain(text)
  const whole = text.endsWith('.') ? text.slice(0, -1) : text
  if (whole.length > MAX_OCTETS) return undefined
  return whole.split('.').every((label) => LABEL.test(label)) ? whole.toLowerCase() : undefined
}
