/** The record as JSON. A record that is read is checked field by field, because disks fail and people edit files. */
import type { BlobReader } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { attachmentKey } from './layout.ts'
import type { MailRecord } from './record.ts'
import { RECORD } from './record-shape.ts'
import { wrongField } from './shape.ts'

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
