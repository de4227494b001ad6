/** `@postern/storage/document`: a message as one JSON document, for programs. */
import { type JsonSchema, wrongField } from '../record/shape.ts'
import type { MailDocument } from './document.ts'
import { DOCUMENT } from './document-shape.ts'
import { jsonSchemaOf } from './json-schema.ts'

export type { DocumentHtml, DocumentPart, DocumentText, MailDocument } from './document.ts'
export type { JsonSchema } from '../record/shape.ts'
export { toJson, type ToJsonOptions } from './to-json.ts'

/**
 * Checks a document that was read from elsewhere.
 * @throws TypeError that names the first field that is not as it has to be
 */
export function checkDocument(value: unknown): MailDocument {
  const wrong = wrongField(value, DOCUMENT)
  if (wrong !== undefined) throw new TypeError(`document${wrong}`)
  return value as MailDocument
}

/** Returns the JSON Schema (2020-12) of {@link MailDocument}. It is made from what {@link checkDocument} checks. */
export function documentSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:postern:mail-document:1',
    title: 'A message',
    ...jsonSchemaOf(DOCUMENT),
  }
}
