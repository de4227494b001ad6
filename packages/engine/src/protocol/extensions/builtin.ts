/** The extensions that every server has. Those that are a keyword alone are here, each of the others has its file. */
import { binaryMime, eightBitMime } from './body.ts'
import { chunking } from './chunking.ts'
import { dsn } from './dsn.ts'
import type { ProtocolExtension } from './extension.ts'
import { size } from './size.ts'
import { smtpUtf8 } from './smtp-utf8.ts'
import { startTls } from './start-tls.ts'

/** RFC 2920. Framing never depends on packets, so there is nothing to do but say so. */
const pipelining: ProtocolExtension = { keyword: 'PIPELINING' }

/** RFC 2034. */
const enhancedStatusCodes: ProtocolExtension = { keyword: 'ENHANCEDSTATUSCODES' }

/** In the order of the EHLO reply. AUTH joins them where there is someone to ask. */
export const BUILT_IN: readonly ProtocolExtension[] = [
  pipelining,
  size,
  eightBitMime,
  smtpUtf8,
  chunking,
  binaryMime,
  enhancedStatusCodes,
  dsn,
  startTls,
]
