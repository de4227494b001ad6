/** Messages of DNS (RFC 1035 4), by `dns-packet`. Whatever a server sends, decoding it ends, and never throws. */
import { Buffer } from 'node:buffer'
import { ipText, parseIp } from '@postern/engine'
import packet, { type Answer as Decoded } from 'dns-packet'
import type { Records, RecordType, TxtRecord } from '../answer.ts'
import { HEADER_BYTES, recordsEnd } from './extent.ts'

export interface Question {
  /** As `queryName` returns it, or with other letter case. */
  readonly name: string
  readonly type: RecordType
}

/** A record that this package knows. */
export type Entry = {
  readonly [Type in RecordType]: {
    readonly type: Type
    readonly name: string
    readonly ttlSeconds: number
    readonly value: Records[Type]
  }
}[RecordType]

/** What is used of a server's answer. */
export interface Message {
  readonly id: number
  /** Its name is exactly as the server sent it. Undefined if the server refuses the format of the query without repeating it. */
  readonly question: { readonly name: string; readonly type: string } | undefined
  readonly responseCode: string
  readonly isTruncated: boolean
  /** The server has the zone itself. */
  readonly isAuthoritative: boolean
  /** The server asks others for its clients. */
  readonly isRecursive: boolean
  readonly isAuthentic: boolean
  readonly answers: readonly Entry[]
  readonly authorities: readonly Entry[]
}

/** An answer over UDP has at most so many bytes, so that no part of the way has to cut it up (DNS flag day 2020). */
export const UDP_PAYLOAD_BYTES = 1_232
/** Larger than any sensible answer. Each byte costs time to decode. */
export const MAX_MESSAGE_BYTES = 32_768
/** More records than any sensible answer has. The codec may follow many pointers for each. */
const MAX_RECORDS = 500
const TRUNCATED = 0x02
const RESPONSE = 0x80
const OPCODE_BITS = 0x78
const RCODE_BITS = 0x0f
/** How a server answers EDNS that it does not know (RFC 6891 7). */
const FORMAT_REFUSALS: ReadonlyMap<number, string> = new Map([
  [1, 'FORMERR'],
  [4, 'NOTIMP'],
])
/** A TTL with the highest bit set counts as 0 (RFC 2181 8). */
const MAX_TTL_SECONDS = 2 ** 31 - 1

/** Makes a query. `isSigned` asks for the signatures of DNSSEC too (RFC 3225), if there is EDNS. */
export function encodeQuery(
  id: number,
  { name, type }: Question,
  { isSigned, isExtended }: { readonly isSigned: boolean; readonly isExtended: boolean },
): Uint8Array {
  return packet.encode({
    type: 'query',
    id,
    // AUTHENTIC_DATA asks for that bit in the answer (RFC 6840 5.7).
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ type, name, class: 'IN' }],
    additionals: isExtended
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: UDP_PAYLOAD_BYTES,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: isSigned ? packet.DNSSEC_OK : 0,
            flag_do: isSigned,
            options: [],
          },
        ]
      : [],
  })
}

/** Returns whether the server does not know the format of the query. EDNS may be the reason. */
export function isFormatRefused({ responseCode }: Message): boolean {
  return [...FORMAT_REFUSALS.values()].includes(responseCode)
}

/** Returns whether the message answers this question. The letter case does not matter. */
export function answersQuestion(message: Message, asked: Question, isExtended: boolean): boolean {
  if (message.question === undefined) return isExtended
  return message.question.type === asked.type && message.question.name.toLowerCase() === asked.name
}

/** Reads an answer with one question, or a refusal that is only a header. Returns undefined if it is anything else. */
export function decodeResponse(bytes: Uint8Array): Message | undefined {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_MESSAGE_BYTES) return undefined
  if (bytes.length === HEADER_BYTES) return bareRefusal(bytes)
  // A copy, because the codec's records are views, and an answer may stay in a cache.
  const buffer = Buffer.from(bytes)
  const isTruncated = ((buffer[2] ?? 0) & TRUNCATED) !== 0
  // Its records may be cut off anywhere, and nobody uses them.
  if (isTruncated) buffer.fill(0, 6, HEADER_BYTES)
  const records = buffer.readUInt16BE(6) + buffer.readUInt16BE(8) + buffer.readUInt16BE(10)
  if (buffer.readUInt16BE(4) !== 1 || records > MAX_RECORDS) return undefined
  const end = recordsEnd(buffer, records)
  if (end === undefined) return undefined
  try {
    const decoded = packet.decode(buffer) as packet.DecodedPacket & { readonly rcode: string; readonly opcode: string }
    const [question] = decoded.questions ?? []
    if (decoded.type !== 'response' || decoded.opcode !== 'QUERY' || question === undefined) return undefined
    // The codec does not look at the length of a record whose type it knows.
    if (question.class !== 'IN' || packet.decode.bytes !== end) return undefined
    return {
      id: decoded.id ?? 0,
      question: { name: question.name, type: question.type },
      responseCode: decoded.rcode,
      isTruncated,
      isAuthoritative: decoded.flag_aa,
      isRecursive: decoded.flag_ra,
      isAuthentic: decoded.flag_ad,
      answers: entries(decoded.answers),
      authorities: entries(decoded.authorities),
    }
  } catch {
    // The codec throws for what it can't read.
    return undefined
  }
}

/** Reads an answer that is a header alone, as old servers send if they can't read a query. */
function bareRefusal(bytes: Uint8Array): Message | undefined {
  const [high = 0, low = 0, flags = 0, code = 0, ...counts] = bytes
  const responseCode = FORMAT_REFUSALS.get(code & RCODE_BITS)
  if ((flags & RESPONSE) === 0 || (flags & (OPCODE_BITS | TRUNCATED)) !== 0 || responseCode === undefined)
    return undefined
  if (counts.some((octet) => octet !== 0)) return undefined
  return {
    id: (high << 8) | low,
    question: undefined,
    responseCode,
    isTruncated: false,
    isAuthoritative: false,
    isRecursive: false,
    isAuthentic: false,
    answers: [],
    authorities: [],
  }
}

/** Returns the records of types that this package knows. */
function entries(decoded: readonly Decoded[] = []): Entry[] {
  return decoded.flatMap((record) => entryOf(record) ?? [])
}

function entryOf(record: Decoded): Entry | undefined {
  if (!('class' in record) || record.class !== 'IN') return undefined
  const value = valueOf(record)
  if (value === undefined) return undefined
  const ttl = 'ttl' in record ? (record.ttl ?? 0) : 0
  const ttlSeconds = ttl > MAX_TTL_SECONDS ? 0 : ttl
  return { type: record.type, name: nameOf(record.name), ttlSeconds, value } as Entry
}

function valueOf(record: Decoded): Records[RecordType] | undefined {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return addressOf(record.data, record.type)
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return nameOf(record.data)
    case 'MX':
      return { preference: record.data.preference ?? 0, exchange: nameOf(record.data.exchange) }
    case 'SOA': {
      const { mname, rname, serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0 } = record.data
      const times = { refreshSeconds: refresh, retrySeconds: retry, expireSeconds: expire, minimumSeconds: minimum }
      return { primary: nameOf(mname), mailbox: nameOf(rname), serial, ...times }
    }
    case 'TLSA': {
      const { usage, selector, matchingType, certificate } = record.data
      return { usage, selector, matchingType, data: new Uint8Array(certificate) }
    }
    case 'TXT':
      return textOf(record.data as unknown as readonly Buffer[])
    default:
      return undefined
  }
}

function addressOf(text: string, type: 'A' | 'AAAA'): string | undefined {
  const octets = parseIp(text)
  if (octets === undefined) return undefined
  if (type === 'A') return octets.length === 4 ? ipText(octets) : undefined
  return octets.length === 4 ? `::ffff:${ipText(octets)}` : ipText(octets)
}

function textOf(data: readonly Buffer[]): TxtRecord {
  // A character may begin in one string and end in the next.
  return { strings: data.map((string) => string.toString()), text: Buffer.concat(data).toString() }
}

/** Returns a name of the codec as answers have it. */
function nameOf(name: string): string {
  return name === '.' ? '' : name.toLowerCase()
}
