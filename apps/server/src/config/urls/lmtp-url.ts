/** Reads the URL of a server of LMTP that a rule names. */
import { parseServerUrl } from '@postern/engine/client'

/** It is the name of a destination in the queue. */
const PLAIN = /^[!-~]{1,250}$/

/** Returns whether a text is the URL of a server of LMTP, without a user and password. */
export function isLmtpUrl(url: string): boolean {
  try {
    const { credentials, protocol } = parseServerUrl(url)
    return protocol === 'lmtp' && credentials === undefined && PLAIN.test(url)
  } catch {
    return false
  }
}
