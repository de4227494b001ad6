/** What is wrong with a message. A defect never ends the reading: the reader says how it took what is malformed. */

export const DEFECTS = {
  'base64-character': 'a character that base64 does not have; it is skipped',
  'base64-end': 'base64 ends within a group of four characters',
  'base64-padding': 'base64 goes on behind its padding; what follows is decoded too',
  'byte-order-mark': 'a byte order mark is in front of a header section; it is left out',
  'charset-unknown': 'the charset is unknown; the text is read as UTF-8, or else as Windows-1252',
  'charset-invalid': 'octets that the charset does not have; each became U+FFFD',
  'depth-limit': 'parts are deeper than the limit; this one is not opened',
  'encoded-multipart': 'a multipart or message has a transfer encoding; RFC 2045 6.4 forbids it',
  'encoding-unknown': 'the transfer encoding is unknown; the octets are as they came',
  'field-control': 'a field has a control character; its decoded value has a blank for it',
  'field-limit': 'the header section has more fields than the limit; the rest is left out',
  'field-malformed': 'a line of the header section is no field; it is left out',
  'field-repeated': 'a field that may be there once is repeated; the first one counts',
  'header-limit': 'the header section is longer than the limit; the rest is left out',
  'multipart-boundary': 'a multipart has no valid boundary; it is not opened',
  'multipart-empty': 'a multipart has no part',
  'multipart-unfinished': 'a multipart ends without its closing boundary',
  'parameter-malformed':
    'a parameter of a field is malformed, repeated or incomplete; it is left out, or read as far as it goes',
  'parts-limit': 'the message has more parts than the limit; the rest is left out',
  'quoted-printable': 'an = that is not followed by two hexadecimal digits or a line end; it is kept',
  'type-malformed': 'the content type is malformed; text/plain is taken',
  uuencode: 'a line that is no uuencode, or no begin or end; it is skipped',
} as const

export type DefectCode = keyof typeof DEFECTS

export interface Defect {
  readonly code: DefectCode
  /** For people. */
  readonly message: string
}

/** A bounded list of defects, each code once. */
export class DefectList {
  readonly list: Defect[] = []
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  add(code: DefectCode): void {
    if (this.list.length < this.#max && !this.list.some((defect) => defect.code === code)) {
      this.list.push({ code, message: DEFECTS[code] })
    }
  }
}
