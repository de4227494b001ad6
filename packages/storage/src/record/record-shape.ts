/** The shape of a record. */
import { isId, isSection } from './layout.ts'
import type { AttachmentRecord, MailRecord, PathRecord } from './record.ts'
import type { MailSummary } from '@postern/mail/summary'
import {
  ANY_OBJECT,
  COUNT,
  type FieldsOf,
  type Leaf,
  matching,
  oneOf,
  SHA256,
  type ShapeOf,
  TEXT,
  TEXTS,
  TIME,
  YES_OR_NO,
} from './shape.ts'

const PRIORITY: Leaf = {
  is: (value) => Number.isInteger(value) && Math.abs(value as number) <= 9,
  name: 'a priority from -9 to 9',
  schema: { type: 'integer', minimum: -9, maximum: 9 },
}

const ENDPOINT: ShapeOf<MailRecord['session']['remote']> = {
  fields: { family: oneOf('ipv4', 'ipv6', 'unix', 'unknown'), address: TEXT, port: COUNT },
}
const TLS: ShapeOf<NonNullable<MailRecord['session']['tls']>> = {
  fields: {
    protocol: TEXT,
    cipher: TEXT,
    serverName: { maybe: TEXT },
    peerCertificate: {
      maybe: { fields: { subject: TEXT, issuer: TEXT, fingerprint: TEXT, verified: YES_OR_NO } },
    },
  },
}
const PATH: FieldsOf<PathRecord> = {
  address: TEXT,
  localPart: TEXT,
  domain: TEXT,
  literal: { maybe: { fields: { family: oneOf('ipv4', 'ipv6', 'general'), address: TEXT, tag: { maybe: TEXT } } } },
  parameters: TEXTS,
  malformedParameters: { maybe: { each: TEXT } },
}
const MAILBOXES: ShapeOf<MailSummary['from']> = { each: { fields: { name: { maybe: TEXT }, address: TEXT } } }
export const SUMMARY: { readonly fields: FieldsOf<MailSummary> } = {
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
const ATTACHMENT: { readonly fields: FieldsOf<AttachmentRecord> } = {
  fields: {
    section: {
      is: (value) => typeof value === 'string' && isSection(value),
      name: 'a section',
      schema: { type: 'string' },
    },
    fileName: { maybe: TEXT },
    type: TEXT,
    contentId: { maybe: TEXT },
    size: COUNT,
    sha256: SHA256,
    key: TEXT,
  },
}
export const RECORD: { readonly fields: FieldsOf<MailRecord> } = {
  fields: {
    schemaVersion: oneOf(1),
    id: {
      is: (value) => isId(value as string),
      name: 'an id',
      schema: { type: 'string', pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' },
    },
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
              name: { maybe: TEXT },
              address: { maybe: TEXT },
              protocol: { maybe: TEXT },
              hello: { maybe: TEXT },
              ident: { maybe: TEXT },
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
    verdicts: ANY_OBJECT,
    summary: { maybe: SUMMARY },
    attachments: { maybe: { each: ATTACHMENT } },
    maildir: { maybe: { fields: { file: TEXT, mailboxes: { each: TEXT }, lineEnding: oneOf('LF', 'CRLF') } } },
    bounce: { maybe: { fields: { reason: TEXT, at: TIME } } },
  },
}
