/** The record of a domain that wants reports: RFC 8460 3. */

export interface ReportTargets {
  /** Addresses, without `mailto:`. */
  readonly mail: readonly string[]
  /** URLs that take the report by POST. */
  readonly https: readonly string[]
}

/** A report goes to a few places. */
const MAX_TARGETS = 10
const MAX_TARGET_LENGTH = 500
/** An address as it may be in a URL (RFC 6068 2), decoded: nothing that needs quotes. */
const ADDRESS = /^[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$/

/** Reads the TXT records of `_smtp._tls.DOMAIN`. Returns undefined if the domain wants no reports. */
export function reportTargets(texts: readonly string[]): ReportTargets | undefined {
  const records = texts.filter((text) => text.split(';', 1)[0]?.trim() === 'v=TLSRPTv1')
  // With several records there are no reports (RFC 8460 3).
  const [record] = records
  if (record === undefined || records.length > 1) return undefined
  const field = record.split(';').find((field) => field.trim().startsWith('rua='))
  const uris = (field ?? '')
    .trim()
    .slice('rua='.length)
    .split(',', MAX_TARGETS)
    .map((uri) => uri.trim())
  const mail = uris.flatMap((uri) => addressOf(uri) ?? [])
  const https = uris.flatMap((uri) => urlOf(uri) ?? [])
  return mail.length + https.length === 0 ? undefined : { mail, https }
}

function addressOf(uri: string): string | undefined {
  if (uri.slice(0, 7).toLowerCase() !== 'mailto:' || uri.length > MAX_TARGET_LENGTH) return undefined
  const [written = ''] = uri.slice(7).split('?', 1)
  try {
    const address = decodeURIComponent(written)
    return ADDRESS.test(address) ? address : undefined
  } catch {
    return undefined
  }
}

function urlOf(uri: string): string | undefined {
  if (uri.slice(0, 8).toLowerCase() !== 'https://' || uri.length > MAX_TARGET_LENGTH) return undefined
  return URL.canParse(uri) ? new URL(uri).href : undefined
}
