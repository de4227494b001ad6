/** The built-in extensions that need no more than a keyword, a parameter or a verb; and the list of all that every server has. */
import { upperCase } from '../bytes/ascii.ts'
import type { BodyType, Envelope } from '../grammar/envelope.ts'
import type { ParameterRule, ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'
import { type Reply, reply } from '../grammar/reply.ts'
import { dsn } from './dsn.ts'

/** RFC 2920. Framing never depends on packets, so there is nothing to do but say so. */
const pipelining: ProtocolExtension = { keyword: 'PIPELINING' }

/** RFC 2034. */
const enhancedStatusCodes: ProtocolExtension = { keyword: 'ENHANCEDSTATUSCODES' }

/** The refusal of a message that is, or says it will be, too large. */
export const TOO_LARGE: Reply = reply(552, '5.3.4', 'Message is larger than this server takes')

/** RFC 1870. */
const size: ProtocolExtension = {
  keyword: 'SIZE',
  advertise: ({ limits }) => String(limits.maxMessageBytes),
  lineOctets: { MAIL: 26 },
  mail: {
    SIZE: {
      value: 'required',
      apply(value, envelope, { limits }) {
        if (!/^\d{1,20}$/.test(value)) return MALFORMED
        envelope.declaredBytes = Number(value)
        return envelope.declaredBytes > limits.maxMessageBytes ? TOO_LARGE : undefined
      },
    },
  },
}

function body(...types: readonly BodyType[]): ParameterRule<Envelope> {
  return {
    value: 'required',
    apply(value, envelope) {
      const type = types.find((known) => known === upperCase(value))
      if (type === undefined) return MALFORMED
      envelope.body = type
    },
  }
}

/** RFC 6152. */
const eightBitMime: ProtocolExtension = {
  keyword: '8BITMIME',
  lineOctets: { MAIL: 17 },
  mail: { BODY: body('7BIT', '8BITMIME') },
}

/** RFC 3030 2. */
const chunking: ProtocolExtension = { keyword: 'CHUNKING', verbs: { BDAT: {} } }

/** RFC 3030 3. It needs CHUNKING, and gives BODY its third value. */
const binaryMime: ProtocolExtension = {
  keyword: 'BINARYMIME',
  mail: { BODY: body('7BIT', '8BITMIME', 'BINARYMIME') },
}

/** RFC 6531 3. */
const smtpUtf8: ProtocolExtension = {
  keyword: 'SMTPUTF8',
  lineOctets: { MAIL: 10, VRFY: 10, EXPN: 10 },
  mail: {
    SMTPUTF8: {
      value: 'none',
      apply(_, envelope) {
        envelope.smtpUtf8 = true
      },
    },
  },
}

/** RFC 3207. */
const startTls: ProtocolExtension = {
  keyword: 'STARTTLS',
  verbs: { STARTTLS: {} },
  advertise: ({ canStartTls }) => (canStartTls ? '' : null),
}

/** In the order of the EHLO reply. AUTH joins them where there is someone to ask. */
export const BUILT_IN: readonly ProtocolExtension[] = [
  pipelining,
  size,
  eightBitMime,
  smtpUtf8,
  chunking,
  binaryMime,
  enhancedStatusCodes,
  dsn,
  startTls,
]
