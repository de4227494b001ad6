/** The corpus of awkward messages, and the check of each. */
import { type MessageSource, type Part, parts } from '@postern/mail'
import { chance } from '../../kit/sample.ts'
import { attempt, type Outcome, type Row } from '../outcome.ts'
import { boundaries } from './boundaries.ts'
import { charsets } from './charsets.ts'
import { encodings } from './encodings.ts'
import { fields } from './fields.ts'
import { large } from './large.ts'
import { names } from './names.ts'
import { nested } from './nested.ts'
import { real } from './real.ts'
import { type ExpectedPart, latin1Of, type MessageRow, octetsOf, type RowGroup } from './row.ts'
import { words } from './words.ts'

export const CORPUS: readonly RowGroup[] = [
  { name: 'boundaries', rows: boundaries },
  { name: 'fields', rows: fields },
  { name: 'encoded words', rows: words },
  { name: 'names of files', rows: names },
  { name: 'transfer encodings', rows: encodings },
  { name: 'charsets', rows: charsets },
  { name: 'nested messages', rows: nested },
  { name: 'limits', rows: large },
  { name: 'everyday mail', rows: real },
]

/** Longer messages are not read one octet at a time. */
const MAX_SINGLE = 20_000
/** Longer messages are not cut in two at each place. */
const MAX_CUT = 1_000
/** Random ways to cut a message. */
const RANDOM_WAYS = 3
/** A longer text is compared by its length and its digest. */
const MAX_SHOWN = 300

export function messageOf({ message }: MessageRow): Uint8Array {
  return octetsOf(typeof message === 'string' ? message : message())
}

/** Returns what {@link mimeOutcomes} reports. */
export function mimeRows(): Row[] {
  return CORPUS.flatMap(({ name: check, rows }) => rows.map(({ name: subject }) => ({ subject, check })))
}

/** Charsets that the decoder of a runtime does not have, with the reason. */
const GAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  node: { cp949: "Node's TextDecoder reads euc-kr without the characters that Windows-949 adds" },
}

function gapOf(runtime: string, subject: string): string | undefined {
  const gaps = Object.entries(GAPS[runtime] ?? {})
  return gaps.find(([charset]) => subject.startsWith(`the charset is ${charset}:`))?.[1]
}

/** Reads each message, whole and in pieces. */
export async function* mimeOutcomes(runtime: string): AsyncGenerator<Outcome> {
  for (const { name: check, rows } of CORPUS) {
    for (const row of rows) {
      const reason = gapOf(runtime, row.name)
      if (reason !== undefined) yield { subject: row.name, check, result: 'skipped', reason }
      else yield { subject: row.name, check, ...(await attempt(() => checkRow(row))) }
    }
  }
}

/** @throws if our reader finds anything else than what is expected, however the message is cut */
async function checkRow(row: MessageRow): Promise<void> {
  const octets = messageOf(row)
  const expected = await shown(row.parts)
  for (const [way, makeSource] of waysOf(octets)) {
    const found = await shown(await foundIn(row, makeSource))
    if (found !== expected) throw new Error(`${way}: found ${found}, expected ${expected}`)
  }
}

type MakeSource = () => MessageSource

function* waysOf(octets: Uint8Array): Generator<[way: string, makeSource: MakeSource]> {
  yield ['whole', () => octets]
  if (octets.length <= MAX_SINGLE) yield ['one octet at a time', () => pieces(octets, () => 1)]
  if (octets.length <= MAX_CUT) {
    for (let i = 1; i < octets.length; i++) yield [`cut at ${i}`, () => [octets.subarray(0, i), octets.subarray(i)]]
  }
  const random = chance(octets.length)
  const most = octets.length > MAX_SINGLE ? 20_000 : 40
  for (let i = 0; i < RANDOM_WAYS; i++) yield ['in random pieces', () => pieces(octets, () => random.below(most))]
}

function* pieces(octets: Uint8Array, size: () => number): Generator<Uint8Array> {
  for (let start = 0; start < octets.length;) {
    const end = start + size()
    yield octets.subarray(start, end)
    start = end
  }
}

/** Reads a message by our reader, and returns what the row is about. */
async function foundIn({ parts: expected, limits }: MessageRow, makeSource: MakeSource): Promise<ExpectedPart[]> {
  const options = limits === undefined ? {} : { limits }
  const found: { readonly part: Part; body: string; text?: string }[] = []
  for await (const part of parts(makeSource(), options)) found.push({ part, body: latin1Of(await part.bytes()) })
  // A body can be read once, so the texts are those of another reading, which also finds defects in them.
  if (expected.some(({ text }) => text !== undefined)) {
    let index = 0
    for await (const part of parts(makeSource(), options)) {
      const isAbout = expected[index]?.text !== undefined
      const text = isAbout ? await part.text() : undefined
      found[index] = { body: found[index]?.body ?? '', part, ...(text === undefined ? {} : { text }) }
      // What is not read has no defects of its encoding.
      if (!isAbout) await part.bytes()
      index++
    }
  }
  return found.map(({ part, body, text }, index): ExpectedPart => {
    const names = Object.keys(expected[index]?.fields ?? {})
    const { section, type, fileName: name, disposition, contentId } = part
    return {
      section,
      type,
      body,
      ...(name === undefined ? {} : { name }),
      ...(disposition === undefined ? {} : { disposition }),
      ...(contentId === undefined ? {} : { contentId }),
      ...(text === undefined ? {} : { text }),
      ...(names.length === 0 ? {} : { fields: valuesOf(part, names) }),
      ...(part.defects.length === 0 ? {} : { defects: part.defects.map(({ code }) => code).join(' ') }),
    }
  })
}

function valuesOf({ fields }: Part, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, fields.get(name) ?? 'missing']))
}

/** Writes parts as lines. What is long is a length and a digest. */
async function shown(found: readonly ExpectedPart[]): Promise<string> {
  const all = await Promise.all(
    found.map(async ({ section, type, body, name, disposition, contentId, text, fields = {}, defects }) => {
      const values = Object.entries(fields).map(async ([field, value]) => [field, await shortened(value)])
      return JSON.stringify({
        section,
        type,
        body: await shortened(body),
        name,
        disposition,
        contentId,
        text,
        defects,
        fields: Object.fromEntries(await Promise.all(values)) as object,
      })
    }),
  )
  return all.length > MAX_SHOWN ? shortened(all.join('\n')) : all.join('\n')
}

async function shortened(text: string): Promise<string> {
  if (text.length <= MAX_SHOWN) return text
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  const hex = Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, '0')).join('')
  return `${text.length} characters, ${hex}`
}
