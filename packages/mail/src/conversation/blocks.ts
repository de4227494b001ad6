/**
 * Marks what of a text the author wrote, and what they quoted or sign with. Nothing is removed, and each line is in exactly one block.
 *
 * There is no standard for it, so this is what mail programs do: quotes begin with `>` (RFC 3676 4.5), a signature follows a line `-- ` (RFC 3676
 * 4.3), and Outlook puts a block of fields above the whole message that it answers. What is marked may be wrong: show it folded, do not delete it.
 */
import {
  ATTRIBUTION_STARTS,
  AUTHOR_FIELDS,
  BEGIN_FORWARDED,
  ORIGINAL_MESSAGE,
  OTHER_FIELDS,
  SUBJECT_FIELDS,
} from './phrases.ts'

export type BlockKind =
  /** What the author wrote. */
  | 'text'
  /** What somebody else wrote. */
  | 'quote'
  /** What the mail program wrote above a quote: who wrote it, and when. */
  | 'attribution'
  /** From the line `-- ` on. */
  | 'signature'

/** Neighbouring lines of one kind. */
export interface TextBlock {
  readonly kind: BlockKind
  /** Lines are numbered from 1. */
  readonly firstLine: number
  readonly lastLine: number
}

/** Longer lines are no attribution, and are not compared with phrases. */
const MAX_PHRASE = 300
/** An attribution is wrapped into so many lines at most. */
const MAX_ATTRIBUTION_LINES = 3
/** Without its blank, a line `--` begins a signature only near the end. */
const MAX_SIGNATURE_LINES = 12
/** More lines behind `-- ` are no signature. */
const MAX_LINES_BELOW = 40
/** Fields of Outlook's block, of which one is the author, and one the subject. */
const MIN_FIELDS = 3
const MAX_FIELDS = 10
/** The rest of a text with more blocks is one block of its own. */
const MAX_BLOCKS = 1_000

/** @param text Lines end with LF or CRLF */
export function textBlocks(text: string): TextBlock[] {
  if (text === '') return []
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
  if (lines.at(-1) === '') lines.pop()
  return joined(kindsOf(lines))
}

function kindsOf(lines: readonly string[]): BlockKind[] {
  const kinds: BlockKind[] = lines.map((line) => (line.startsWith('>') ? 'quote' : 'text'))
  for (let i = 0; i < lines.length; i++) {
    if (kinds[i] !== 'text') continue
    const header = originalHeader(lines, i)
    if (header > 0) {
      kinds.fill('attribution', i, i + header)
      kinds.fill('quote', i + header)
      break
    }
    if (isSignature(lines, i)) i = markSignature(lines, kinds, i)
  }
  for (let i = 1; i < lines.length; i++) {
    if (kinds[i] === 'quote' && kinds[i - 1] !== 'quote') markAttribution(lines, kinds, i - 1)
  }
  return kinds
}

/** Returns how many lines before a whole message are the program's: a line of hyphens, and fields. Returns 0 if none of that is here. */
function originalHeader(lines: readonly string[], start: number): number {
  const hasTitle = isTitle(lines[start] as string)
  let at = hasTitle ? start + 1 : start
  if (hasTitle) while (lines[at]?.trim() === '') at++
  const fields = fieldsAt(lines, at)
  const isBlock = fields >= MIN_FIELDS && hasSubject(lines.slice(at, at + fields))
  if (isBlock || (hasTitle && fields > 0)) return at + fields - start
  return hasTitle ? 1 : 0
}

function isTitle(line: string): boolean {
  if (line.length > MAX_PHRASE) return false
  const words = line.trim()
  if (words.endsWith(':')) return BEGIN_FORWARDED.has(words.slice(0, -1).toLowerCase())
  const inner = withoutHyphens(words)
  return inner.length < words.length && ORIGINAL_MESSAGE.has(inner.toLowerCase())
}

function withoutHyphens(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && '-_ '.includes(text[start] as string)) start++
  while (end > start && '-_ '.includes(text[end - 1] as string)) end--
  return text.slice(start, end)
}

/** Counts the lines of Outlook's block. The first one is the author's. */
function fieldsAt(lines: readonly string[], start: number): number {
  let count = 0
  for (; count < MAX_FIELDS; count++) {
    const name = fieldName(lines[start + count])
    if (name === undefined || !(count === 0 ? AUTHOR_FIELDS : OTHER_FIELDS).has(name)) break
  }
  return count
}

/** Other texts have lines such as `From: Berlin` and `To: Paris`. */
function hasSubject(lines: readonly string[]): boolean {
  return lines.some((line) => SUBJECT_FIELDS.has(fieldName(line) ?? ''))
}

/** Returns the name in `*Subject:* text`, which some programs write in bold. */
function fieldName(line: string | undefined): string | undefined {
  const start = line?.startsWith('*') === true ? 1 : 0
  const colon = line?.indexOf(':') ?? -1
  const wide = line?.indexOf('：') ?? -1
  const end = colon < 0 ? wide : colon
  return line === undefined || end < 0 || end > 40 ? undefined : line.slice(start, end).trim().toLowerCase()
}

function isSignature(lines: readonly string[], i: number): boolean {
  return lines[i] === '-- ' || (lines[i] === '--' && lines.length - i <= MAX_SIGNATURE_LINES)
}

/** Marks lines until a quote begins. Returns the last one. */
function markSignature(lines: readonly string[], kinds: BlockKind[], start: number): number {
  let end = start
  while (end < lines.length && kinds[end] === 'text' && (end === start || originalHeader(lines, end) === 0)) end++
  if (end - start <= MAX_LINES_BELOW) kinds.fill('signature', start, end)
  return end - 1
}

/** Marks the lines above a quote that say who wrote it. There may be an empty line between. */
function markAttribution(lines: readonly string[], kinds: BlockKind[], last: number): void {
  let end = last
  if (lines[end]?.trim() === '' && kinds[end] === 'text') end--
  const line = lines[end]?.trimEnd()
  if (line === undefined || kinds[end] !== 'text' || line.length > MAX_PHRASE) return
  if (!line.endsWith(':') && !line.endsWith('：')) return
  let start: number | undefined
  for (let i = end; i > end - MAX_ATTRIBUTION_LINES && kinds[i] === 'text' && lines[i]?.trim() !== ''; i--) {
    if (saysWhoAndWhen(lines[i] as string)) start = i
  }
  if (start !== undefined) kinds.fill('attribution', start, end + 1)
}

/** "On Monday, Ann wrote:" or "Ann <ann@example.org>:", but not "Look at this:". */
function saysWhoAndWhen(line: string): boolean {
  const lower = line.slice(0, MAX_PHRASE).toLowerCase()
  const words = lower.split(' ').length
  return (words > 2 && ATTRIBUTION_STARTS.some((word) => lower.startsWith(word))) || lower.includes('@')
}

function joined(kinds: readonly BlockKind[]): TextBlock[] {
  const blocks: TextBlock[] = []
  for (let i = 0; i < kinds.length;) {
    const kind = kinds[i] as BlockKind
    const firstLine = i + 1
    while (i < kinds.length && kinds[i] === kind) i++
    if (blocks.length === MAX_BLOCKS - 1) i = kinds.length
    blocks.push({ kind, firstLine, lastLine: i })
  }
  return blocks
}
