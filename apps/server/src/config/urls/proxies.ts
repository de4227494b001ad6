/** Proxies in front of the server, which say whose a connection is: `--proxy-from`. */
import { addressRanges, OptionError, type SessionOverrides } from '@postern/engine'

/** For everyone who connects: where nothing but a proxy can. */
const ALL = 'all'

export const PROXY_ALLOWED: string = `an IP address, a range such as 10.0.0.0/8 or fd00::/8 with no bit set after its prefix, or ${ALL}`

/** Whether this may stand behind `--proxy-from`. */
export function isProxyRange(text: string): boolean {
  if (text === ALL) return true
  try {
    addressRanges([text])
    return true
  } catch (error) {
    if (error instanceof OptionError) return false
    throw error
  }
}

/** Whether who connects from there has to send a header. */
export function isTrustedProxy(proxyFrom: readonly string[], from: { family: string; address: string }): boolean {
  return proxyOverrides(proxyFrom).proxyProtocol?.trusted.includes(from) === true
}

/** What listeners make of `--proxy-from`; nothing where it is not given. */
export function proxyOverrides(proxyFrom: readonly string[]): SessionOverrides {
  if (proxyFrom.length === 0) return {}
  return { proxyProtocol: { trusted: addressRanges(proxyFrom.includes(ALL) ? ALL : proxyFrom) } }
}
