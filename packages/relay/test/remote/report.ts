/** Reads a report as RFC 3464 defines it, strictly. It is written by hand from the grammar, so that tests do not trust our writer. */

export interface ReportedRecipient {
  readonly recipient: string
  readonly action: string
  readonly status: string
  /** With its type. */
  readonly diagnostic: string | undefined
}

const MESSAGE_FIELDS = ['original-envelope-id', 'reporting-mta', 'dsn-gateway', 'received-from-mta', 'arrival-date']
const RECIPIENT_FIELDS = [
  'original-recipient',
  'final-recipient',
  'action',
  'status',
  'remote-mta',
  'diagnostic-code',
  'last-attempt-date',
  'final-log-id',
  'will-retry-until',
]
const DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}$/

/** @throws Error that says which rule the report breaks */
export function readReport(text: string): readonly ReportedRecipient[] {
  if (/[^\r]\n|\r[^\n]/.test(text)) throw new Error('a CR or LF stands alone')
  const header = fieldsOf(text.slice(0, text.indexOf('\r\n\r\n')))
  const type = header.get('content-type') ?? ''
  const boundary = /boundary="([^"]{1,70})"/.exec(type)?.[1]
  if (!/^multipart\/report; *report-type=delivery-status;/.test(type) || boundary === undefined)
    throw new Error(`the type is ${type}`)
  if (header.get('auto-submitted') !== 'auto-replied') throw new Error('RFC 3834 wants Auto-Submitted')
  const pieces = text.split(`\r\n--${boundary}`)
  if (pieces.length !== 5 || !pieces[4]?.startsWith('--')) throw new Error(`there are ${pieces.length - 2} parts`)
  const [, human = '', status = '', returned = ''] = pieces
  if (!typeOf(human).startsWith('text/plain')) throw new Error('the first part is not for people')
  if (!typeOf(status).startsWith('message/delivery-status')) throw new Error('the second part is not the status')
  if (!/^(?:message\/rfc822|text\/rfc822-headers)/.test(typeOf(returned))) throw new Error('the third part is not mail')
  const body = status.slice(status.indexOf('\r\n\r\n') + 4)
  const [message, ...recipients] = body.split('\r\n\r\n').map((group) => group.replace(/\r\n$/, ''))
  const common = fieldsOf(message ?? '')
  known(common, MESSAGE_FIELDS)
  if (!/^dns; \S+$/.test(common.get('reporting-mta') ?? '')) throw new Error('Reporting-MTA is wrong')
  return recipients.filter((group) => group !== '').map((group) => readRecipient(fieldsOf(group)))
}

function readRecipient(fields: ReadonlyMap<string, string>): ReportedRecipient {
  known(fields, RECIPIENT_FIELDS)
  const recipient = /^rfc822; (\S+)$/.exec(fields.get('final-recipient') ?? '')?.[1]
  const action = fields.get('action') ?? ''
  const status = fields.get('status') ?? ''
  if (recipient === undefined) throw new Error('Final-Recipient is wrong')
  if (!['failed', 'delayed', 'delivered', 'relayed', 'expanded'].includes(action)) throw new Error(`Action: ${action}`)
  if (!/^[245]\.\d{1,3}\.\d{1,3}$/.test(status)) throw new Error(`Status: ${status}`)
  for (const name of ['last-attempt-date', 'will-retry-until']) {
    const date = fields.get(name)
    if (date !== undefined && !DATE.test(date)) throw new Error(`${name}: ${date}`)
  }
  const code = fields.get('diagnostic-code')
  if (code !== undefined && !/^(?:smtp|x-[a-z]+); [\x20-\x7e]+$/.test(code)) throw new Error(`Diagnostic-Code: ${code}`)
  return { recipient, action, status, diagnostic: code }
}

function typeOf(part: string): string {
  return fieldsOf(part.slice(2, part.indexOf('\r\n\r\n'))).get('content-type') ?? ''
}

function fieldsOf(block: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of block.replaceAll(/\r\n(?=[ \t])/g, '').split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon < 1 || fields.has(name)) throw new Error(`not a field, or twice: ${JSON.stringify(line)}`)
    fields.set(name, line.slice(colon + 1).trim())
  }
  return fields
}

function known(fields: ReadonlyMap<string, string>, names: readonly string[]): void {
  for (const name of fields.keys()) if (!names.includes(name)) throw new Error(`${name} is not a field of RFC 3464`)
}
