/** `postern attachments`: lists the attachments of a message, writes one of them, or makes links to those that are kept apart. */
import { AttachmentReader, type AttachmentHead } from '@postern/mail/summary'
import type { MailRecord, MailStore, StoredMail } from '@postern/storage'
import { formatQuantity, formatSize, parseQuantity } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { EXIT, Failure } from '../../host/failure.ts'
import { print, printJson } from '../../host/output.ts'
import { safe, table } from '../../host/terminal.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { cut } from '../reading/rows.ts'
import { loadMail, refused } from './mail.ts'

export interface AttachmentsFlags {
  readonly link?: string
  readonly json?: boolean
}

/** What is printed of an attachment. */
interface Listed extends AttachmentHead {
  /** Octets, decoded. */
  readonly size: number
  /** Present if it is kept apart, as `key` is. */
  readonly sha256?: string
  readonly key?: string
  readonly link?: string
}

/** S3's bounds on the time of a link. */
const MIN_LINK_MS = 1_000
const MAX_LINK_MS = 7 * 24 * 60 * 60 * 1000

/** Lists all attachments, or writes the decoded bytes of one to standard output. With `--link`, prints links instead of bytes. */
export async function attachments(
  settings: Settings,
  id: string,
  section: string | undefined,
  flags: AttachmentsFlags,
): Promise<void> {
  if (section !== undefined && flags.json === true) throw new Failure('--json: leave out the section, or --json')
  const expiresInMs = flags.link === undefined ? undefined : linkTime(flags.link)
  const store = await openExistingStore(settings, { writable: false })
  const linkTo = expiresInMs === undefined ? undefined : linker(store, expiresInMs)
  const mail = await loadMail(store, id)
  try {
    if (section === undefined) return await list(mail, linkTo, flags.json === true)
    if (linkTo === undefined) return await write(store, mail, section)
    if (!isApart(mail.record, section)) throw missing(id, section, 'attachment apart')
    await print(`${await linkTo(mail.record, section)}\n`)
  } catch (error) {
    throw refused(error, id)
  }
}

type LinkTo = (record: MailRecord, section: string) => Promise<string>

/** @throws Failure if the store makes no links */
function linker({ attachments: place }: MailStore, expiresInMs: number): LinkTo {
  const link = place?.link?.bind(place)
  if (link === undefined) throw new Failure('--link: this store makes no links; an s3: store does')
  return (record, section) => link(record, section, { expiresInMs })
}

/** @throws Failure */
function linkTime(text: string): number {
  const time = parseQuantity(text, 'time')
  if (time >= MIN_LINK_MS && time <= MAX_LINK_MS) return time
  const [from, to] = [MIN_LINK_MS, MAX_LINK_MS].map((ms) => formatQuantity(ms, 'time'))
  throw new Failure(`--link: ${JSON.stringify(text)} is not a time such as 1h, from ${from} to ${to}`)
}

async function list(mail: StoredMail, linkTo: LinkTo | undefined, isJson: boolean): Promise<void> {
  const { record } = mail
  const listed: Listed[] = []
  for await (const found of attachmentsOf(mail.body)) {
    const apart = record.attachments?.find(({ section }) => section === found.section)
    const link = apart === undefined ? undefined : await linkTo?.(record, found.section)
    listed.push({ ...(apart ?? found), ...(link !== undefined && { link }) })
  }
  if (isJson) return printJson({ id: record.id, attachments: listed })
  if (listed.length === 0) return print('No attachments\n')
  const rows = listed.map(({ section, fileName = '', type, size, key = '(inside)', link }) =>
    [section, cut(fileName), cut(type), formatSize(size), link ?? key].map(safe),
  )
  await print(table([['PART', 'NAME', 'TYPE', 'SIZE', linkTo === undefined ? 'WHERE' : 'LINK'], ...rows]))
}

async function write(store: MailStore, { record, body }: StoredMail, section: string): Promise<void> {
  if (isApart(record, section) && store.attachments !== undefined) {
    const apart = await store.attachments.load(record, section)
    for await (const octets of apart.body) await print(octets)
    return
  }
  let isFound = false
  const wanted = async (octets: Uint8Array): Promise<void> => print(octets)
  for await (const found of attachmentsOf(body, (head) => (head.section === section ? wanted : undefined))) {
    if (found.section !== section) continue
    isFound = true
    break
  }
  if (!isFound) throw missing(record.id, section, 'attachment')
}

function isApart({ attachments: apart = [] }: MailRecord, wanted: string): boolean {
  return apart.some(({ section }) => section === wanted)
}

function missing(id: string, section: string, what: string): Failure {
  return new Failure(`${safe(JSON.stringify(section))}: message ${id} has no ${what} of this section`, EXIT.failed)
}

type Take = (octets: Uint8Array) => Promise<void>

/**
 * Reads a message, and yields its attachments, each when it is over.
 * @param takerOf Returns a function that gets the decoded octets of an attachment, if they are wanted
 */
async function* attachmentsOf(
  body: AsyncIterable<Uint8Array>,
  takerOf: (head: AttachmentHead) => Take | undefined = () => undefined,
): AsyncGenerator<Listed> {
  const reader = new AttachmentReader()
  let head: AttachmentHead | undefined
  let size = 0
  let take: Take | undefined
  async function* events(): AsyncGenerator<Listed> {
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      if (event.kind === 'begin') {
        head = event.attachment
        size = 0
        take = takerOf(head)
      } else if (event.kind === 'octets') {
        size += event.octets.length
        await take?.(event.octets)
      } else if (head !== undefined) {
        yield { ...head, size }
      }
    }
  }
  for await (const chunk of body) {
    reader.receive(chunk)
    yield* events()
  }
  reader.end()
  yield* events()
}
