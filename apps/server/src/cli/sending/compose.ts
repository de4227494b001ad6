/** Builds a message from the flags of `postern send`, with nodemailer's MailComposer. It is loaded only here. */
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { Failure } from '../../host/failure.ts'
import { SYSEXIT } from './sysexits.ts'

export interface ComposeFlags {
  readonly from?: string
  readonly to?: readonly string[]
  readonly cc?: readonly string[]
  readonly bcc?: readonly string[]
  readonly replyTo?: string
  readonly subject?: string
  readonly text?: string
  readonly html?: string
  readonly attach?: readonly string[]
  readonly header?: readonly string[]
}

export interface Composed {
  readonly from: string
  readonly to: readonly string[]
  readonly bytes: AsyncIterable<Uint8Array>
}

/** RFC 5322 3.6.8. */
const FIELD_NAME = /^[!-9;-~]{1,76}$/

/** Flags that say what is in the message. */
export function hasContent({ subject, text, html, attach }: ComposeFlags): boolean {
  return [subject, text, html, attach].some((flag) => flag !== undefined)
}

/** @throws Failure */
export async function compose(flags: ComposeFlags): Promise<Composed> {
  const { from, to = [], cc = [], bcc = [], replyTo, subject, text, html, attach = [], header = [] } = flags
  const missing = attach.find((path) => !existsSync(path))
  if (missing !== undefined) throw new Failure(`--attach: ${missing}: there is no such file`, SYSEXIT.noInput)
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer')
  const mail = new MailComposer({
    ...(from !== undefined && { from }),
    to: [...to],
    cc: [...cc],
    bcc: [...bcc],
    ...(replyTo !== undefined && { replyTo }),
    ...(subject !== undefined && { subject }),
    ...(text !== undefined && { text }),
    ...(html !== undefined && { html }),
    headers: header.map(parseHeader),
    attachments: attach.map((path) => ({ path, filename: basename(path) })),
    disableUrlAccess: true,
    newline: 'windows',
  }).compile()
  const envelope = mail.getEnvelope()
  if (envelope.to.length === 0) throw new Failure('give --to with an address such as you@example.com', SYSEXIT.usage)
  return { from: envelope.from || '', to: envelope.to, bytes: mail.createReadStream() }
}

/** Reads a field of `--header`. Its value may not begin another field. */
function parseHeader(text: string): { readonly key: string; readonly value: string } {
  const colon = text.indexOf(':')
  const key = text.slice(0, Math.max(0, colon))
  if (!FIELD_NAME.test(key) || /[\r\n\0]/.test(text)) {
    throw new Failure(`--header: ${JSON.stringify(text)} is not a field such as 'X-Priority: 1'`, SYSEXIT.usage)
  }
  return { key, value: text.slice(colon + 1).trim() }
}
