/** Lists of clients that are trusted: `--proxy-from`, `--xclient-from`, `--xforward-from`. */
import { type AddressRanges, addressRanges, OptionError, type SessionOverrides } from '@postern/engine'

/** Trusts every address. It is for servers that only a proxy can reach. */
const ALL = 'all'

export const PROXY_ALLOWED: string = `an IP address, a range such as 10.0.0.0/8 or fd00::/8 with no bit set after its prefix, or ${ALL}`

/** Returns whether this is a valid entry of a list. */
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

/** Returns whether a connection from this address must begin with a PROXY header. */
export function isTrustedProxy(proxyFrom: readonly string[], from: { family: string; address: string }): boolean {
  return proxyOverrides(proxyFrom).proxyProtocol?.trusted.includes(from) === true
}

/** Makes the session overrides of a listener for `--proxy-from`. They are empty if it is not given. */
export function proxyOverrides(proxyFrom: readonly string[]): SessionOverrides {
  if (proxyFrom.length === 0) return {}
  return { proxyProtocol: { trusted: rangesOf(proxyFrom) } }
}

/** Returns the addresses of a list. */
export function rangesOf(ranges: readonly string[]): AddressRanges {
  return addressRanges(ranges.includes(ALL) ? ALL : ranges)
}
