/** Reads a message once before it is returned: how long it is, and how its parts must be encoded. */

export interface Scan {
  /** All octets, or more than the bound if there are more. */
  readonly octets: number
  /** The octets of the header that may be returned: whole lines within the bound. */
  readonly headerOctets: number
  /** The header is printable ASCII in lines that mail may have. */
  readonly isHeaderPlain: boolean
  readonly is8Bit: boolean
  /** The message has lines that are too long, or NUL, CR or LF that are no line end. It cannot be a part of another as it is. */
  readonly isBinary: boolean
  /** The Message-ID with its angle brackets, if there is a good one. */
  readonly messageId: string | undefined
}

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
/** RFC 5322 2.1.1, without CRLF. */
const MAX_LINE_OCTETS = 998
/** More than any real header has. Lines after it are not returned. */
const MAX_HEADER_OCTETS = 65_536
const MAX_FIELD = 400
const MESSAGE_ID = 'message-id:'
const ID = /^<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>$/

/** Reads a message until all is known, and no further. @param maxOctets The body is not looked at behind it */
export async function scan(chunks: AsyncIterable<Uint8Array>, maxOctets: number): Promise<Scan> {
  const scanner = new Scanner(maxOctets)
  for await (const chunk of chunks) {
    // Leaving the loop ends the reading.
    if (scanner.add(chunk)) break
  }
  return scanner.result()
}

class Scanner {
  readonly #maxOctets: number
  #octets = 0
  #lineOctets = 0
  #isAfterCr = false
  #isInHeader = true
  #headerOctets = 0
  #isHeaderPlain = true
  #is8Bit = false
  #isBinary = false
  /** The beginning of the field that is read. */
  #field = ''
  #messageId: string | undefined

  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets
  }

  /** Returns whether all is known. */
  add(chunk: Uint8Array): boolean {
    for (const octet of chunk) {
      this.#octets++
      this.#next(octet)
      if (!this.#isInHeader && this.#octets > this.#maxOctets) return true
    }
    return false
  }

  result(): Scan {
    this.#endField()
    // A header without an end is all there is.
    if (this.#isInHeader && this.#octets <= MAX_HEADER_OCTETS) this.#headerOctets = this.#octets
    return {
      octets: this.#octets,
      headerOctets: this.#headerOctets,
      isHeaderPlain: this.#isHeaderPlain && !(this.#isInHeader && this.#isAfterCr),
      is8Bit: this.#is8Bit,
      isBinary: this.#isBinary || this.#isAfterCr,
      messageId: this.#messageId,
    }
  }

  #next(octet: number): void {
    const isLineEnd = octet === LF && this.#isAfterCr
    if ((octet === LF) !== this.#isAfterCr || octet === 0) this.#flaw()
    this.#isAfterCr = octet === CR
    if (octet >= 128) {
      this.#is8Bit = true
      this.#isHeaderPlain &&= !this.#isInHeader
    }
    // Programs that wrote a bare LF meant the end of a line.
    if (isLineEnd || octet === LF) return this.#endLine()
    if (octet === CR) return
    if (this.#isInHeader) this.#headerOctet(octet)
    if (++this.#lineOctets > MAX_LINE_OCTETS) this.#flaw()
  }

  #flaw(): void {
    this.#isBinary = true
    this.#isHeaderPlain &&= !this.#isInHeader
  }

  #headerOctet(octet: number): void {
    if (this.#lineOctets === 0 && octet !== SPACE && octet !== TAB) this.#endField()
    if (octet < SPACE && octet !== TAB) this.#isHeaderPlain = false
    if (this.#field.length < MAX_FIELD) this.#field += String.fromCharCode(octet)
  }

  #endLine(): void {
    if (this.#isInHeader) {
      if (this.#lineOctets === 0 || this.#octets > MAX_HEADER_OCTETS) this.#isInHeader = false
      else this.#headerOctets = this.#octets
    }
    this.#lineOctets = 0
  }

  #endField(): void {
    const field = this.#field
    this.#field = ''
    if (!field.toLowerCase().startsWith(MESSAGE_ID)) return
    const id = field.slice(MESSAGE_ID.length).trim()
    if (ID.test(id)) this.#messageId ??= id
  }
}
