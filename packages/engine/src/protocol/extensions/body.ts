/** BODY and its values: 8BITMIME (RFC 6152), BINARYMIME (RFC 3030 3). */
import { upperCase } from '../bytes/ascii.ts'
import type { BodyType, Envelope } from '../grammar/envelope.ts'
import type { ParameterRule, ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

export const eightBitMime: ProtocolExtension = {
  keyword: '8BITMIME',
  lineOctets: { MAIL: 17 },
  mail: { BODY: body('7BIT', '8BITMIME') },
}

/** BINARYMIME needs CHUNKING, and adds a third value to BODY. */
export const binaryMime: ProtocolExtension = {
  keyword: 'BINARYMIME',
  mail: { BODY: body('7BIT', '8BITMIME', 'BINARYMIME') },
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
