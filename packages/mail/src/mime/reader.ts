/**
 * Reads a message: bytes in, parts and their decoded bodies out. It has no I/O, and never throws: what is malformed is read as well as it can be,
 * and told as a defect (RFC 2045, RFC 2046, RFC 5322).
 *
 * It holds a header section and some hundred octets of a body, and no more.
 */
import { type HeaderFields, parseHeader } from '../header/fields.ts'
import { IDENTITY, type TransferDecoder, transferDecoder } from '../transfer/index.ts'
import { Boundaries, type Delimiter, validBoundary } from './boundaries.ts'
import { type Content, contentOf } from './content.ts'
import { type DefectCode, DefectList } from '../defect.ts'
import { type HeaderEnd, HeaderOctets } from './header-octets.ts'
import type { MimeLimits } from './limits.ts'
import type { PartHead } from './part.ts'
import { Scanner } from './scanner.ts'

/** A part begins, or octets of its body, or the message is over. */
export type MimeEvent =
  | { readonly kind: 'part'; readonly part: PartHead; readonly defects: DefectList }
  | { readonly kind: 'body'; readonly octets: Uint8Array }
  | { readonly kind: 'end' }

export interface MimeReaderOptions {
  readonly limits: MimeLimits
  /** Opens messages inside the message. Otherwise each is one part with a body. */
  readonly opensMessages: boolean
}

const TEXT = 'text/plain'
const MESSAGE = 'message/rfc822'
const MESSAGE_TYPES: ReadonlySet<string> = new Set([MESSAGE, 'message/global', 'message/news'])
const UNENCODED: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary'])
const END: MimeEvent = { kind: 'end' }

export class MimeReader {
  readonly #options: MimeReaderOptions
  readonly #boundaries = new Boundaries()
  readonly #scanner = new Scanner(this.#boundaries)
  /** Collects the header section that is read now. */
  #header: HeaderOctets | undefined
  /** Decodes the body that is read now. Undefined if it is left out. */
  #decoder: TransferDecoder | undefined
  /** Where that body stands. */
  #encodedBody = { start: 0, length: 0 }
  /** Octets that came. */
  #received = 0
  /** The part that begins now: its section and its type if it names none. */
  #section = '1'
  #defaultType = TEXT
  #count = 0
  /** Of the whole message. */
  #defects: DefectList | undefined
  #isEnding = false
  #isOver = false
  /** Events that are known already. */
  readonly #events: MimeEvent[] = []

  constructor(options: MimeReaderOptions) {
    this.#options = options
    this.#begin('1', TEXT)
  }

  /** Takes bytes. The caller calls it only after `next` returned undefined. */
  receive(bytes: Uint8Array): void {
    this.#received += bytes.length
    this.#scanner.receive(bytes)
  }

  /** The message ends. */
  end(): void {
    this.#isEnding = true
  }

  /** Returns the next event, or undefined if the reader needs more bytes. */
  next(): MimeEvent | undefined {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) return event
      if (this.#isOver) return END
      if (this.#header === undefined ? !this.#readBody() : !this.#readHeader(this.#header)) {
        if (!this.#isEnding) return undefined
        this.#finish()
      }
    }
  }

  #begin(section: string, defaultType: string): void {
    this.#section = section
    this.#defaultType = defaultType
    this.#header = new HeaderOctets(this.#options.limits.maxHeaderOctets)
  }

  /** Returns false if it needs more bytes. */
  #readHeader(header: HeaderOctets): boolean {
    const scanner = this.#scanner
    if (scanner.isDone) return false
    const end = header.take(scanner.input, scanner.at, this.#boundaries)
    if (end === undefined) {
      scanner.goTo(scanner.input.length)
      return false
    }
    scanner.goTo(end.end)
    this.#open(end)
    return true
  }

  /** Returns false if it needs more bytes. */
  #readBody(): boolean {
    const { body, delimiter } = this.#scanner.next()
    if (body !== undefined) this.#take(body)
    if (delimiter !== undefined) this.#cross(delimiter)
    return body !== undefined || delimiter !== undefined
  }

  #take(body: Uint8Array): void {
    if (this.#decoder === undefined) return
    this.#encodedBody.length += body.length
    const octets = this.#decoder.write(body)
    if (octets.length > 0) this.#events.push({ kind: 'body', octets })
  }

  #endBody(): void {
    if (this.#decoder === undefined) return
    const octets = this.#decoder.end()
    if (octets.length > 0) this.#events.push({ kind: 'body', octets })
    this.#decoder = undefined
  }

  /** Begins the part whose header section is whole. */
  #open({ octets, isCut, delimiter }: HeaderEnd): void {
    this.#header = undefined
    const { limits } = this.#options
    if (this.#count === limits.maxParts) {
      this.#defects?.add('parts-limit')
      this.#isOver = true
      return
    }
    this.#count++
    const defects = new DefectList(limits.maxDefects)
    this.#defects ??= defects
    const { fields, isMalformed, isCut: isFull, hasMark, hasControl } = parseHeader(octets, limits.maxFields)
    if (hasMark) defects.add('byte-order-mark')
    if (isCut) defects.add('header-limit')
    if (isMalformed) defects.add('field-malformed')
    if (hasControl) defects.add('field-control')
    if (isFull) defects.add('field-limit')
    this.#openContent(fields, contentOf(fields, this.#defaultType, defects), defects)
    if (delimiter !== undefined) this.#cross(delimiter)
  }

  #openContent(fields: HeaderFields, content: Content, defects: DefectList): void {
    const { type, encoding, parameters } = content
    const isMultipartType = type.startsWith('multipart/')
    const isMessageType = MESSAGE_TYPES.has(type) && this.#options.opensMessages
    const boundary = isMultipartType ? validBoundary(parameters.get('boundary')) : undefined
    const isUnencoded = UNENCODED.has(encoding)
    if (isMultipartType && boundary === undefined) defects.add('multipart-boundary')
    if ((isMultipartType || isMessageType) && !isUnencoded) defects.add('encoded-multipart')
    // A multipart whose encoding is forbidden is read without it, as everybody does. A message in base64 has to be decoded, so it is a part.
    const opens = boundary !== undefined || (isMessageType && isUnencoded)
    const isDeep = opens && this.#boundaries.frames.length >= this.#options.limits.maxDepth
    if (isDeep) defects.add('depth-limit')
    const isMultipart = boundary !== undefined && !isDeep
    const isMessage = opens && !isMultipart && !isDeep
    const section = this.#sectionOf(isMultipart)
    const { input, at } = this.#scanner
    this.#encodedBody = { start: this.#received - input.length + at, length: 0 }
    const place = isMultipart || isMessage ? undefined : { encodedBody: this.#encodedBody }
    const part: PartHead = { section, fields, ...content, isMultipart, isMessage, ...place, defects: defects.list }
    this.#events.push({ kind: 'part', part, defects })
    this.#decoder = undefined
    if (isMultipart) {
      const isDigest = type === 'multipart/digest'
      this.#push(boundary, section, isDigest ? MESSAGE : TEXT, defects)
    } else if (isMessage) {
      this.#push(undefined, section, TEXT, defects)
      this.#begin(`${section}.1`, TEXT)
    } else {
      const isOpaque = isMultipartType || (isMessageType && isDeep)
      this.#decoder = isOpaque ? IDENTITY : transferDecoder(encoding, (code: DefectCode) => defects.add(code))
    }
  }

  /** A multipart that is the whole of a message has the section of its text: RFC 9051 6.4.5.1. */
  #sectionOf(isMultipart: boolean): string {
    const parent = this.#boundaries.frames.at(-1)
    if (!isMultipart || (parent !== undefined && parent.boundary !== undefined)) return this.#section
    return parent === undefined ? 'TEXT' : `${parent.section}.TEXT`
  }

  #push(boundary: string | undefined, section: string, defaultType: string, defects: DefectList): void {
    this.#boundaries.push({ boundary, section, defaultType, defects, parts: 0 })
  }

  /** Goes on behind a delimiter: with the next part, or with what is outside of the multipart. */
  #cross({ index, isClose }: Delimiter): void {
    this.#endBody()
    const { frames } = this.#boundaries
    while (frames.length > index + 1) this.#leave(false)
    const frame = frames[index]
    if (frame === undefined) return
    if (isClose) {
      this.#leave(true)
      return
    }
    frame.parts++
    const prefix = frame.section === 'TEXT' ? '' : `${frame.section.replace(/\.TEXT$/, '')}.`
    this.#begin(`${prefix}${frame.parts}`, frame.defaultType)
  }

  #leave(isClosed: boolean): void {
    const frame = this.#boundaries.pop()
    if (frame?.boundary === undefined) return
    if (!isClosed) frame.defects.add('multipart-unfinished')
    if (frame.parts === 0) frame.defects.add('multipart-empty')
  }

  /** The message has no more bytes. */
  #finish(): void {
    if (this.#header !== undefined) {
      this.#open(this.#header.finish())
      if (this.#header !== undefined) return
    }
    const { body, delimiter } = this.#scanner.end()
    if (body !== undefined) this.#take(body)
    if (delimiter !== undefined) {
      this.#cross(delimiter)
      if (this.#header !== undefined) return
    }
    this.#endBody()
    while (this.#boundaries.frames.length > 0) this.#leave(false)
    this.#isOver = true
  }
}
