/** What a list of messages shows of each: computed while the message arrives, and bounded, because it stands in every record. */
import type { HeaderFields } from '../header/fields.ts'
import { type Mailbox, parseMailboxes } from '../header/addresses.ts'
import type { PartHead } from '../mime/part.ts'
import { decodeText } from '../text/charset.ts'
import { parseDate } from './dates.ts'
import { snippetOf, textOfHtml } from './snippet.ts'

export interface MailSummary {
  /** Decoded. Fields that the message does not have are missing. */
  readonly subject?: string
  readonly from: readonly Mailbox[]
  readonly replyTo?: readonly Mailbox[]
  readonly to: readonly Mailbox[]
  readonly cc?: readonly Mailbox[]
  /** What the Date field says. ISO 8601, UTC. */
  readonly date?: string
  /** Without angle brackets, as those of `inReplyTo` and `references`. */
  readonly messageId?: string
  readonly inReplyTo?: readonly string[]
  /** The oldest first. Of more than 50, the first and the newest are kept. */
  readonly references?: readonly string[]
  /** RFC 2919, without angle brackets. */
  readonly listId?: string
  /** RFC 3834: 'auto-replied', 'auto-generated' … Missing if the field is missing or says 'no'. */
  readonly autoSubmitted?: string
  /** The beginning of the text, on one line: at most 200 characters. */
  readonly snippet?: string
  /** The first 50. */
  readonly attachments: readonly AttachmentSummary[]
  /** All of them. */
  readonly attachmentCount: number
}

export interface AttachmentSummary {
  /** See `PartHead`. */
  readonly section: string
  readonly fileName?: string
  readonly type: string
  /** Octets, decoded. */
  readonly size: number
}

const NOTHING: Uint8Array = new Uint8Array(0)
const MAX_TEXT = 500
const MAX_MAILBOXES = 50
const MAX_IDS = 50
const MAX_ID = 500
const MAX_ATTACHMENTS = 50
const MAX_SNIPPET = 200
/** Octets that a snippet is made of. */
const MAX_TEXT_OCTETS = 1_024
const MAX_HTML_OCTETS = 8_192

/** Gets the parts of one message, and makes its summary. */
export class SummaryBuilder {
  #root: HeaderFields | undefined
  #part: PartHead | undefined
  #size = 0
  readonly #attachments: AttachmentSummary[] = []
  #attachmentCount = 0
  #text: SnippetPart | undefined
  #html: SnippetPart | undefined
  /** The one of the two that the part is. */
  #reading: SnippetPart | undefined

  part(part: PartHead): void {
    this.#end()
    this.#root ??= part.fields
    this.#part = part
    this.#size = 0
    this.#reading = undefined
    if (isAttachment(part)) return
    if (part.type === 'text/plain') this.#reading = this.#text ??= new SnippetPart(part, MAX_TEXT_OCTETS)
    else if (part.type === 'text/html') this.#reading = this.#html ??= new SnippetPart(part, MAX_HTML_OCTETS)
    if (this.#reading?.part !== part) this.#reading = undefined
  }

  body(octets: Uint8Array): void {
    this.#size += octets.length
    this.#reading?.take(octets)
  }

  end(): MailSummary {
    this.#end()
    const fields = this.#root
    const text = this.#text?.text() ?? ''
    const snippet = snippetOf(text, MAX_SNIPPET) || snippetOf(textOfHtml(this.#html?.text() ?? ''), MAX_SNIPPET)
    return {
      ...(fields === undefined ? { from: [], to: [] } : headOf(fields)),
      ...(snippet !== '' && { snippet }),
      attachments: this.#attachments,
      attachmentCount: this.#attachmentCount,
    }
  }

  #end(): void {
    const part = this.#part
    this.#part = undefined
    if (part === undefined || !isAttachment(part)) return
    if (this.#attachmentCount++ >= MAX_ATTACHMENTS) return
    const { section, type, fileName } = part
    const named = fileName === undefined ? {} : { fileName: shown(fileName) }
    this.#attachments.push({ section, ...named, type: type.slice(0, MAX_TEXT), size: this.#size })
  }
}

/** Returns true for a part that a mail reader lists as an attachment: it says so, or has a name, or is no text. */
export function isAttachment({ disposition, fileName, isMultipart, isMessage, section, type }: PartHead): boolean {
  if (isMultipart) return false
  if (disposition === 'attachment' || fileName !== undefined) return true
  if (isMessage) return true
  return !type.startsWith('text/') && section !== 'TEXT'
}

/** The beginning of a part's text. */
class SnippetPart {
  readonly part: PartHead
  readonly #max: number
  #octets = NOTHING

  constructor(part: PartHead, max: number) {
    this.part = part
    this.#max = max
  }

  take(octets: Uint8Array): void {
    const had = this.#octets.length
    if (had === this.#max) return
    if (had === 0) {
      this.#octets = octets.slice(0, this.#max)
      return
    }
    const joined = new Uint8Array(Math.min(this.#max, had + octets.length))
    joined.set(this.#octets)
    joined.set(octets.subarray(0, joined.length - had), had)
    this.#octets = joined
  }

  text(): string {
    return decodeText(this.#octets, this.part.parameters.get('charset')).text
  }
}

const NOBODY: readonly Mailbox[] = []

/** What the header of the message says. */
type Head = Omit<MailSummary, 'attachments' | 'attachmentCount' | 'snippet'>

function headOf(fields: HeaderFields): Head {
  const mailboxes = (name: string): readonly Mailbox[] => {
    const written = fields.getAll(name)
    if (written.length === 0) return NOBODY
    return parseMailboxes(written.map(({ rawValue }) => rawValue).join(', '), MAX_MAILBOXES).map(bounded)
  }
  const subject = fields.get('subject')
  const date = parseDate(fields.get('date') ?? '')
  const [messageId] = idsIn(fields.get('message-id'))
  const inReplyTo = idsIn(fields.get('in-reply-to'))
  const references = idsIn(fields.get('references'))
  const listId = fields.get('list-id')
  const autoSubmitted = fields.get('auto-submitted')?.split(';')[0]?.trim().toLowerCase()
  const replyTo = mailboxes('reply-to')
  const cc = mailboxes('cc')
  // Assigned one by one, because spreading costs more than all of the rest.
  const head = {} as { -readonly [Name in keyof Head]: Head[Name] }
  if (subject !== undefined) head.subject = shown(subject)
  head.from = mailboxes('from')
  if (replyTo.length > 0) head.replyTo = replyTo
  head.to = mailboxes('to')
  if (cc.length > 0) head.cc = cc
  if (date !== undefined) head.date = new Date(date).toISOString()
  if (messageId !== undefined) head.messageId = messageId
  if (inReplyTo.length > 0) head.inReplyTo = inReplyTo
  if (references.length > 0) head.references = newest(references)
  if (listId !== undefined && listId !== '') head.listId = shown(inBrackets(listId))
  if (autoSubmitted !== undefined && autoSubmitted !== 'no' && autoSubmitted !== '')
    head.autoSubmitted = shown(autoSubmitted)
  return head
}

function bounded({ name, address }: Mailbox): Mailbox {
  const short = address.slice(0, MAX_TEXT)
  return name === undefined ? { address: short } : { name: shown(name), address: short }
}

/** One line of bounded length. */
function shown(text: string): string {
  return snippetOf(text, MAX_TEXT)
}

/** Returns what stands in angle brackets, or words if nothing does (RFC 5322 4.5.4 has phrases too). */
function idsIn(field: string | undefined): string[] {
  const ids: string[] = []
  if (field === undefined) return ids
  let at = field.indexOf('<')
  while (at >= 0) {
    const end = field.indexOf('>', at)
    if (end < 0) break
    const id = field.slice(at + 1, end).trim()
    if (id !== '' && id.length <= MAX_ID) ids.push(id)
    at = field.indexOf('<', end)
  }
  const word = field.trim()
  return ids.length === 0 && word !== '' && !/[\s<>]/.test(word) && word.length <= MAX_ID ? [word] : ids
}

/** The first reference begins the thread, the last ones are what is answered: RFC 5322 3.6.4. */
function newest(references: readonly string[]): readonly string[] {
  if (references.length <= MAX_IDS) return references
  return [references[0] as string, ...references.slice(1 - MAX_IDS)]
}

function inBrackets(text: string): string {
  const start = text.indexOf('<')
  const end = text.indexOf('>', start)
  return start >= 0 && end > start ? text.slice(start + 1, end) : text
}
