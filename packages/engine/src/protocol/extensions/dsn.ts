/** Delivery status notifications: RFC 3461 4. The parameters say what a report contains, and who gets it. */
import { upperCase } from '../bytes/ascii.ts'
import type { DsnNotify } from '../grammar/envelope.ts'
import type { ProtocolExtension } from './extension.ts'
import { decodeXtext, HIDES_CONTROL, MALFORMED } from './parameters.ts'

const OUTCOMES: readonly string[] = ['SUCCESS', 'FAILURE', 'DELAY']

/** RFC 3461 4.4 and 4.2. */
const MAX_ENVID_LENGTH = 100
const MAX_ORCPT_LENGTH = 500
const ADDRESS_TYPE = /^[a-z0-9-]+$/
/** EmbeddedUnicodeChar (RFC 6533 3), such as `\x{2B}`, and xtext of ASCII, which some clients write here too. */
const ENCODED = /\\x\{([0-9A-Fa-f]{2,6})\}|\+([0-7][0-9A-Fa-f])?/g
const CONTROL = /[\x00-\x1f\x7f-\x9f]/

/** Add it if something sends the reports. */
export const dsn: ProtocolExtension = {
  keyword: 'DSN',
  // RFC 3461 4.1 to 4.4: the greatest length of RET and ENVID, and of NOTIFY and ORCPT.
  lineOctets: { MAIL: 117, RCPT: 535 },
  mail: {
    RET: {
      value: 'required',
      apply(value, envelope) {
        const ret = upperCase(value)
        if (ret !== 'FULL' && ret !== 'HDRS') return MALFORMED
        envelope.ret = ret
      },
    },
    ENVID: {
      value: 'required',
      encoding: 'xtext',
      advisory: true,
      apply(value, envelope) {
        if (value.length > MAX_ENVID_LENGTH) return MALFORMED
        envelope.envelopeId = value
      },
    },
  },
  rcpt: {
    NOTIFY: {
      value: 'required',
      apply(value, forwardPath) {
        const notify = upperCase(value).split(',')
        const isKnown = notify.every((outcome) => OUTCOMES.includes(outcome))
        if (!(isKnown && new Set(notify).size === notify.length) && upperCase(value) !== 'NEVER') return MALFORMED
        forwardPath.notify = notify as DsnNotify[]
      },
    },
    ORCPT: {
      value: 'required',
      advisory: true,
      apply(value, forwardPath) {
        const at = value.indexOf(';')
        const addressType = value.slice(0, Math.max(0, at)).toLowerCase()
        const written = value.slice(at + 1)
        const address = addressType === 'utf-8' ? decodeUtf8(written) : decodeXtext(written)
        if (!ADDRESS_TYPE.test(addressType) || address === undefined || address === '') return MALFORMED
        if (CONTROL.test(address)) return HIDES_CONTROL
        if (value.length > MAX_ORCPT_LENGTH) return MALFORMED
        forwardPath.originalRecipient = { addressType, address }
      },
    },
  },
}

/** Decodes an address of type utf-8, which may also have characters that are not ASCII. Returns undefined if it is malformed. */
function decodeUtf8(text: string): string | undefined {
  let isMalformed = false
  const decoded = text.replace(ENCODED, (_, point?: string, octet?: string) => {
    const code = Number.parseInt(point ?? octet ?? '', 16)
    // The halves of a surrogate pair are no characters. A `+` alone has no code.
    if (code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)) return String.fromCodePoint(code)
    isMalformed = true
    return ''
  })
  return isMalformed ? undefined : decoded
}
