/** STARTTLS: RFC 3207. */
import type { ProtocolExtension } from './extension.ts'

export const startTls: ProtocolExtension = {
  keyword: 'STARTTLS',
  verbs: { STARTTLS: {} },
  advertise: ({ canStartTls }) => (canStartTls ? '' : null),
}
