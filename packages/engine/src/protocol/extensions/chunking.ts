/** CHUNKING: RFC 3030 2. */
import type { ProtocolExtension } from './extension.ts'

export const chunking: ProtocolExtension = { keyword: 'CHUNKING', verbs: { BDAT: {} } }
