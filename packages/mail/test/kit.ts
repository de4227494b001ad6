/** Reads messages for tests. */
import { type MessageSource, parts, type PartsOptions } from '../src/index.ts'

const encoder = new TextEncoder()

/** Lines to octets; characters up to U+00FF are one octet each if `isLatin1`. */
export function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'))
}

export function utf8Of(text: string): Uint8Array {
  return encoder.encode(text)
}

/** What a test compares of a part. */
export interface Seen {
  readonly section: string
  readonly type: string
  readonly name: string | undefined
  /** Latin-1, so that it shows every octet. */
  readonly body: string
  readonly defects: string
}

export async function seenIn(message: MessageSource, options?: PartsOptions): Promise<Seen[]> {
  const seen: Seen[] = []
  for await (const part of parts(message, options)) {
    const body = Buffer.from(await part.bytes()).toString('latin1')
    seen.push({
      section: part.section,
      type: part.type,
      name: part.fileName,
      body,
      defects: part.defects.map(({ code }) => code).join(' '),
    })
  }
  return seen
}

/** Cuts octets into pieces of one size. */
export function cut(octets: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let i = 0; i < octets.length; i += size) pieces.push(octets.subarray(i, i + size))
  return pieces
}

/** Returns where the body of each part stands, encoded, and in what encoding. */
export async function placesIn(
  message: MessageSource,
  options?: PartsOptions,
): Promise<{ start: number; length: number; encoding: string }[]> {
  const places: { start: number; length: number; encoding: string }[] = []
  for await (const { body, encodedBody, encoding } of parts(message, options)) {
    for await (const _ of body);
    if (encodedBody !== undefined) places.push({ ...encodedBody, encoding })
  }
  return places
}
