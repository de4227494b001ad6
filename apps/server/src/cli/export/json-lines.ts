/** Writes messages as JSON lines: one object for each message, with its exact bytes. */
import type { MailRecord, StoredMail } from '@postern/storage'

/** One line of the export. */
export interface JsonLine {
  readonly record: MailRecord
  /** How `message` holds the stored bytes: as text, or as base64 if they are not UTF-8. */
  readonly encoding: 'utf-8' | 'base64'
  readonly message: string
}

/** Writes one message as a line of JSON. */
export async function* jsonLine(mail: StoredMail): AsyncGenerator<Uint8Array> {
  const bytes = await mail.bytes()
  const text = utf8(bytes)
  const line: JsonLine =
    text === undefined
      ? { record: mail.record, encoding: 'base64', message: Buffer.from(bytes).toString('base64') }
      : { record: mail.record, encoding: 'utf-8', message: text }
  yield Buffer.from(`${JSON.stringify(line)}\n`)
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
