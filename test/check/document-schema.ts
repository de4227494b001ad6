/**
 * docs/message.schema.json is the JSON Schema of the document of a message.
 *
 *     node test/check/document-schema.ts     writes it again; documentation.test.ts fails if that is due
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { documentSchema } from '@postern/storage/document'

const FILE = resolve(import.meta.dirname, '../../docs/message.schema.json')

export function isSchemaFileDue(): boolean {
  return JSON.stringify(JSON.parse(readFileSync(FILE, 'utf8'))) !== JSON.stringify(documentSchema())
}

if (import.meta.main) writeFileSync(FILE, `${JSON.stringify(documentSchema(), null, 2)}\n`)
