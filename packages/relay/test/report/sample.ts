/** Reports of the tests, and how they are read. */
import { makeReport, type Report, type ReportedRecipient, type ReportOptions } from '../../src/report/index.ts'

export const NOW: number = Date.UTC(2026, 11, 1, 6, 30)
export const ARRIVED: number = Date.UTC(2026, 11, 1, 2, 0)
export const ID = 'abcdefghij0123456789'
export const MESSAGE: string = [
  'Received: from client.example by mx.example.com; Tue, 01 Dec 2026 02:00:00 +0000',
  'Message-ID: <first@sender.example>',
  'From: ann@sender.example',
  'Subject: lunch',
  '',
  'At noon?',
  '',
].join('\r\n')

export const FAILED: ReportedRecipient = {
  address: 'bob@example.net',
  action: 'failed',
  status: '5.1.1',
  reply: { at: NOW - 1_000, code: 550, enhancedCode: '5.1.1', text: 'no such user', host: 'mx1.example.net' },
}

const ENVELOPE: ReportOptions['message']['envelope'] = {
  reversePath: 'ann@sender.example',
  body: '7BIT',
  smtpUtf8: false,
}

/** What differs from the report on {@link MESSAGE} for {@link FAILED}. */
export interface Difference extends Partial<Omit<ReportOptions, 'message'>> {
  readonly envelope?: Partial<ReportOptions['message']['envelope']>
  readonly content?: string | Uint8Array
  /** The bytes of a chunk of the message. */
  readonly chunkOctets?: number
}

export function reportOf({
  envelope,
  content = MESSAGE,
  chunkOctets = 1_024,
  ...rest
}: Difference = {}): Promise<Report> {
  return makeReport({
    kind: 'failed',
    id: ID,
    now: NOW,
    hostname: 'mx.example.com',
    message: { queuedAt: ARRIVED, envelope: { ...ENVELOPE, ...envelope } },
    recipients: [FAILED],
    read: () => chunked(Buffer.from(content), chunkOctets),
    ...rest,
  })
}

export async function* chunked(bytes: Uint8Array, octets: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += octets) yield bytes.subarray(at, at + octets)
}

export async function bytesOf(report: Report): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of report.content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function textOf(difference?: Difference): Promise<string> {
  return (await bytesOf(await reportOf(difference))).toString()
}

export interface Part {
  readonly type: string
  readonly encoding: string
  readonly body: string
}

/** Splits a report at its boundary. It is written by hand, so that tests do not trust one parser alone. */
export function partsOf(text: string, id: string = ID): readonly Part[] {
  return text
    .split(`\r\n--=_${id}`)
    .slice(1, -1)
    .map((part) => {
      const end = part.indexOf('\r\n\r\n')
      const header = part.slice(0, end)
      const valueOf = (name: string): string => new RegExp(`^${name}: ([^\\r\\n;]*)`, 'm').exec(header)?.[1] ?? ''
      return {
        type: valueOf('Content-Type'),
        encoding: valueOf('Content-Transfer-Encoding'),
        body: part.slice(end + 4),
      }
    })
}

/** Returns the groups of fields of a delivery-status, unfolded. */
export function statusOf(text: string): readonly Readonly<Record<string, string>>[] {
  const [, status] = partsOf(text)
  return (status?.body ?? '')
    .replaceAll(/\r\n(?=[ \t])/g, '')
    .split('\r\n\r\n')
    .map((group) => {
      const lines = group.split('\r\n').filter((line) => line !== '')
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      )
    })
}
