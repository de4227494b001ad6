/** The shape of a document. */
import { RECORD, SUMMARY } from '../record/record-shape.ts'
import { ANY_OBJECT, COUNT, type FieldsOf, oneOf, SHA256, TEXT, YES_OR_NO } from '../record/shape.ts'
import type { MailDocument } from './document.ts'

export const DOCUMENT: { readonly fields: FieldsOf<MailDocument> } = {
  fields: {
    version: oneOf(1),
    record: RECORD,
    summary: SUMMARY,
    verdicts: ANY_OBJECT,
    threadId: { maybe: TEXT },
    text: {
      maybe: {
        fields: {
          value: TEXT,
          from: oneOf('plain', 'html'),
          isCut: YES_OR_NO,
          blocks: {
            each: {
              fields: { kind: oneOf('text', 'quote', 'attribution', 'signature'), firstLine: COUNT, lastLine: COUNT },
            },
          },
        },
      },
    },
    html: { maybe: { fields: { value: TEXT, isCut: YES_OR_NO } } },
    parts: {
      each: {
        fields: {
          section: TEXT,
          type: TEXT,
          charset: { maybe: TEXT },
          disposition: { maybe: TEXT },
          fileName: { maybe: TEXT },
          contentId: { maybe: TEXT },
          encoding: TEXT,
          size: COUNT,
          isAttachment: YES_OR_NO,
          encodedBody: { maybe: { fields: { start: COUNT, length: COUNT } } },
          blob: { maybe: { fields: { key: TEXT, sha256: SHA256 } } },
          defects: { each: TEXT },
        },
      },
    },
  },
}
