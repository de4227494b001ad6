/** The record as JSON. A record that is read is checked field by field, because disks fail and people edit files. */
import type { BlobReader } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { attachmentKey, isId, isSection } from './layout.ts'
import type { MailRecord } from './record.ts'

/** More than any record needs: a thousand recipients with long parameters take about one MiB. */
const MAX_RECORD_BYTES = 64 * 1024 * 1024

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** Writes a record in a form that people can read: indented, with a line end. */
export function encodeRecord(record: MailRecord): Uint8Array {
  return encoder.encode(`${JSON.stringify(record, null, 2)}\n`)
}

/** Reads the bytes of the record of the message `id`. @throws StorageError `corrupt` if they are too many */
export async function readWhole(blob: BlobReader, id: string): Promise<Uint8Array> {
  if (blob.size > MAX_RECORD_BYTES) {
    await blob.close()
    throw new StorageError('corrupt', `envelope of ${id}: ${blob.size} bytes are too many for an envelope`)
  }
  let bytes: Uint8Array | undefined
  let at = 0
  for await (const chunk of blob.body) {
    // A small blob is one chunk. It needs no copy, because the caller of a reader may keep chunks.
    if (chunk.length === blob.size) bytes = chunk
    else (bytes ??= new Uint8Array(blob.size)).set(chunk, at)
    at += chunk.length
  }
  return bytes ?? new Uint8Array(blob.size)
}

/**
 * Reads the record of the message `id`. Keeps fields that this version doesn't know.
 *
 * @throws StorageError `corrupt`, which names the wrong field
 */
export function decodeRecord(bytes: Uint8Array, id: string): MailRecord {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch (error) {
    throw new StorageError('corrupt', `envelope of ${id}: not JSON`, { cause: error })
  }
  const wrong = wrongField(value, RECORD)
  if (wrong !== undefined) throw new StorageError('corrupt', `envelope of ${id}: record${wrong}`)
  const record = value as MailRecord
  if (record.id !== id) throw new StorageError('corrupt', `envelope of ${id}: it belongs to ${record.id}`)
  for (const { section, key } of record.attachments ?? []) {
    if (key !== attachmentKey(id, section))
      throw new StorageError('corrupt', `envelope of ${id}: the key of attachment ${section} belongs to another`)
  }
  return record
}

/**
 * What a value must be: a value that passes a check, an object with these fields, a list, or a value that may be
 * missing.
 */
type Shape =
  | { readonly is: (value: unknown) => boolean; readonly name: string }
  | { readonly fields: Readonly<Record<string, Shape>> }
  | { readonly each: Shape }
  | { readonly maybe: Shape }

/**
 * Returns which field of `value` does not have this shape, and why: `.size is not a count`. Returns undefined if all are right.
 * The caller writes the name of `value` before it.
 */
function wrongField(value: unknown, shape: Shape): string | undefined {
  if ('maybe' in shape) return value === undefined ? undefined : wrongField(value, shape.maybe)
  if ('is' in shape) return shape.is(value) ? undefined : ` is not ${shape.name}`
  if ('each' in shape) {
    if (!Array.isArray(value)) return ' is not a list'
    for (let index = 0; index < value.length; index++) {
      const wrong = wrongField(value[index], shape.each)
      if (wrong !== undefined) return `[${index}]${wrong}`
    }
    return undefined
  }
  if (!isObject(value)) return ' is not an object'
  for (const field in shape.fields) {
    const wrong = wrongField(Object.hasOwn(value, field) ? value[field] : undefined, shape.fields[field] as Shape)
    if (wrong !== undefined) return `.${field}${wrong}`
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function oneOf(...values: readonly unknown[]): Shape {
  return { is: (value) => values.includes(value), name: `one of ${values.join(', ')}` }
}

function matching(pattern: RegExp, name: string): Shape {
  return { is: (value) => typeof value === 'string' && pattern.test(value), name }
}

const TEXT: Shape = { is: (value) => typeof value === 'string', name: 'text' }
const YES_OR_NO: Shape = { is: (value) => typeof value === 'boolean', name: 'true or false' }
const COUNT: Shape = { is: (value) => Number.isSafeInteger(value) && (value as number) >= 0, name: 'a count' }
const PRIORITY: Shape = {
  is: (value) => Number.isInteger(value) && Math.abs(value as number) <= 9,
  name: 'a priority from -9 to 9',
}
const TIME: Shape = {
  is: (value) =>
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
    !Number.isNaN(Date.parse(value)),
  name: 'a time (ISO 8601, UTC, milliseconds)',
}
const TEXTS: Shape = {
  is: (value) => isObject(value) && Object.values(value).every((item) => typeof item === 'string'),
  name: 'an object of texts',
}
const ENDPOINT: Shape = {
  fields: { family: oneOf('ipv4', 'ipv6', 'unix', 'unknown'), address: TEXT, port: COUNT },
}
const TLS: Shape = {
  fields: {
    protocol: TEXT,
    cipher: TEXT,
    serverName: { maybe: TEXT },
    peerCertificate: {
      maybe: { fields: { subject: TEXT, issuer: TEXT, fingerprint: TEXT, verified: YES_OR_NO } },
    },
  },
}
const PATH: Readonly<Record<string, Shape>> = {
  address: TEXT,
  localPart: TEXT,
  domain: TEXT,
  literal: { maybe: { fields: { family: oneOf('ipv4', 'ipv6', 'general'), address: TEXT, tag: { maybe: TEXT } } } },
  parameters: TEXTS,
  malformedParameters: { maybe: { each: TEXT } },
}
const MAILBOXES: Shape = { each: { fields: { name: { maybe: TEXT }, address: TEXT } } }
const SUMMARY: Shape = {
  fields: {
    subject: { maybe: TEXT },
    from: MAILBOXES,
    replyTo: { maybe: MAILBOXES },
    to: MAILBOXES,
    cc: { maybe: MAILBOXES },
    date: { maybe: TIME },
    messageId: { maybe: TEXT },
    inReplyTo: { maybe: { each: TEXT } },
    references: { maybe: { each: TEXT } },
    listId: { maybe: TEXT },
    autoSubmitted: { maybe: TEXT },
    snippet: { maybe: TEXT },
    attachments: { each: { fields: { section: TEXT, fileName: { maybe: TEXT }, type: TEXT, size: COUNT } } },
    attachmentCount: COUNT,
  },
}
const SHA256 = matching(/^[0-9a-f]{64}$/, 'a SHA-256')
const ATTACHMENT: Shape = {
  fields: {
    section: { is: (value) => typeof value === 'string' && isSection(value), name: 'a section' },
    fileName: { maybe: TEXT },
    type: TEXT,
    contentId: { maybe: TEXT },
    size: COUNT,
    sha256: SHA256,
    key: TEXT,
  },
}
const RECORD: Shape = {
  fields: {
    schemaVersion: oneOf(1),
    id: { is: (value) => isId(value as string), name: 'an id' },
    receivedAt: TIME,
    session: {
      fields: {
        id: TEXT,
        remote: ENDPOINT,
        local: ENDPOINT,
        tls: { maybe: TLS },
        hello: { maybe: { fields: { verb: oneOf('HELO', 'EHLO', 'LHLO'), name: TEXT } } },
        reverseDns: { maybe: { fields: { result: oneOf('pass', 'fail', 'permerror', 'temperror'), name: TEXT } } },
        transmissionType: matching(/^(?:SMTP|(?:ESMTP|UTF8SMTP|LMTP|UTF8LMTP)S?A?)$/, 'a transmission type'),
        user: { maybe: TEXT },
        forwarded: {
          maybe: {
            fields: {
              ...Object.fromEntries(
                ['name', 'address', 'protocol', 'hello', 'ident'].map((field) => [field, { maybe: TEXT }]),
              ),
              port: { maybe: COUNT },
              source: { maybe: oneOf('LOCAL', 'REMOTE') },
            },
          },
        },
      },
    },
    reversePath: { fields: PATH },
    forwardPaths: {
      each: {
        fields: {
          ...PATH,
          notify: { maybe: { each: oneOf('NEVER', 'SUCCESS', 'FAILURE', 'DELAY') } },
          originalRecipient: { maybe: { fields: { addressType: TEXT, address: TEXT } } },
          accounts: { maybe: { each: TEXT } },
        },
      },
    },
    body: oneOf('7BIT', '8BITMIME', 'BINARYMIME'),
    smtpUtf8: YES_OR_NO,
    ret: { maybe: oneOf('FULL', 'HDRS') },
    envelopeId: { maybe: TEXT },
    requireTls: { maybe: oneOf(true) },
    priority: { maybe: PRIORITY },
    deliverBy: { maybe: { fields: { deadline: TIME, mode: oneOf('return', 'notify'), trace: YES_OR_NO } } },
    holdUntil: { maybe: TIME },
    size: COUNT,
    sha256: SHA256,
    verdicts: { is: isObject, name: 'an object' },
    summary: { maybe: SUMMARY },
    attachments: { maybe: { each: ATTACHMENT } },
    maildir: { maybe: { fields: { file: TEXT, mailboxes: { each: TEXT }, lineEnding: oneOf('LF', 'CRLF') } } },
    bounce: { maybe: { fields: { reason: TEXT, at: TIME } } },
  },
}
