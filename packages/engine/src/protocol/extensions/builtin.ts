/**
 * The extensions that every server has. This file defines those that are only a keyword. Each of the others has its own file.
 *
 * DSN, REQUIRETLS, MT-PRIORITY, DELIVERBY and FUTURERELEASE are not among them. They promise what becomes of a message after it
 * is accepted, and only a program that sends it on, or reports, can keep that. Such a program adds them.
 */
import { binaryMime, eightBitMime } from './body.ts'
import { chunking } from './chunking.ts'
import type { ProtocolExtension } from './extension.ts'
import { sessionLimits } from './session-limits.ts'
import { size } from './size.ts'
import { smtpUtf8 } from './smtp-utf8.ts'
import { startTls } from './start-tls.ts'

/** RFC 2920. The server reads commands the same way however they were cut into packets, so it only has to announce the keyword. */
const pipelining: ProtocolExtension = { keyword: 'PIPELINING' }

/** RFC 2034. */
const enhancedStatusCodes: ProtocolExtension = { keyword: 'ENHANCEDSTATUSCODES' }

/** In the order of the EHLO reply. AUTH is added if the server has somebody to ask about logins. */
export const BUILT_IN: readonly ProtocolExtension[] = [
  pipelining,
  size,
  eightBitMime,
  smtpUtf8,
  chunking,
  binaryMime,
  enhancedStatusCodes,
  sessionLimits,
  startTls,
]
