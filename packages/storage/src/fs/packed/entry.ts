/**
 * A pack, byte by byte: a line that says what it is, then entries, one behind the other, and nothing else.
 *
 *     "postern pack 1\n"
 *     an entry:   0  4  CRC-32 of the rest of the header and of the name
 *                 4  4  CRC-32 of the body
 *                 8  1  kind: 1 a blob, 2 a grave
 *                 9  1  the length of the name
 *                10  4  the length of the body
 *                14  6  when it was made: milliseconds since 1970
 *                20  6  how many bytes of this pack were safe when it was written
 *                26     the name: a blob's key without its folder
 *                       the body: a blob's bytes; of a grave, which entry it buries
 *
 * Numbers are little-endian. Both checksums start from a checksum of the pack's name. So if a disk lost bytes and shows those of
 * another pack in their place, they are no entries of this one.
 */
import { crc32 } from 'node:zlib'

export const KIND = { blob: 1, grave: 2 } as const
export type Kind = (typeof KIND)[keyof typeof KIND]

export const MAGIC: Uint8Array = new TextEncoder().encode('postern pack 1\n')
const HEADER_BYTES = 26
/** The longest header with its name. */
export const MAX_HEAD_BYTES: number = HEADER_BYTES + 255

/** An entry that is to be written. */
export interface Draft {
  readonly kind: Kind
  /** ASCII, 1 to 255 bytes. */
  readonly name: string
  readonly body: Uint8Array
  /** Milliseconds since 1970. */
  readonly time: number
}

/** The header of an entry. */
export interface Entry {
  readonly kind: Kind
  readonly name: string
  readonly time: number
  /** Its position in the pack. */
  readonly at: number
  readonly bodyAt: number
  readonly size: number
  readonly checksum: number
  /** How many bytes of the pack were safe when the entry was written. */
  readonly safe: number
}

/** Returns the checksum from which those of a pack start. */
export function seedOf(stem: string): number {
  return crc32(stem)
}

export function lengthOf({ name, body }: Draft): number {
  return HEADER_BYTES + name.length + body.length
}

/**
 * Writes the entry into `bytes` at `at`.
 * @param safe How many bytes of its pack are safe
 */
export function encode(draft: Draft, bytes: Buffer, at: number, seed: number, safe: number): void {
  const { kind, name, body, time } = draft
  const bodyAt = at + HEADER_BYTES + name.length
  bytes.writeUInt32LE(crc32(body, seed), at + 4)
  bytes[at + 8] = kind
  bytes[at + 9] = name.length
  bytes.writeUInt32LE(body.length, at + 10)
  bytes.writeUIntLE(time, at + 14, 6)
  bytes.writeUIntLE(safe, at + 20, 6)
  bytes.write(name, at + HEADER_BYTES, 'latin1')
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, bodyAt), seed), at)
  bytes.set(body, bodyAt)
}

/**
 * Reads the header that begins at `at`; undefined if there is no whole one.
 *
 * @param position The position of `at` in the pack
 */
export function decode(bytes: Buffer, at: number, seed: number, position: number): Entry | undefined {
  if (bytes.length < at + HEADER_BYTES) return undefined
  const kind = bytes[at + 8] as number
  const nameLength = bytes[at + 9] as number
  const end = at + HEADER_BYTES + nameLength
  if (!isKind(kind) || nameLength === 0 || bytes.length < end) return undefined
  if (crc32(bytes.subarray(at + 4, end), seed) !== bytes.readUInt32LE(at)) return undefined
  return {
    kind,
    name: bytes.toString('latin1', at + HEADER_BYTES, end),
    time: bytes.readUIntLE(at + 14, 6),
    at: position,
    bodyAt: position + end - at,
    size: bytes.readUInt32LE(at + 10),
    checksum: bytes.readUInt32LE(at + 4),
    safe: bytes.readUIntLE(at + 20, 6),
  }
}

function isKind(kind: number): kind is Kind {
  return kind === KIND.blob || kind === KIND.grave
}

/** Returns whether this is the body that was written with the entry. */
export function isBody(body: Uint8Array, { checksum, size }: Entry, seed: number): boolean {
  return body.length === size && crc32(body, seed) === checksum
}

/** Makes the body of a grave, the entry that deletes a blob. */
export function graveOf(stem: string, at: number): Uint8Array {
  return new TextEncoder().encode(`${stem} ${at}`)
}
