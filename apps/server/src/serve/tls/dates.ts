/** Warns of certificates that have expired, that expire soon, or that are not valid yet. */
import { X509Certificate } from 'node:crypto'
import type { KeyPair, KeyPairs, TlsCredentials } from '@postern/runtime/tls'
import type { Logger } from '@logtape/logtape'

const DAY_MS = 86_400_000
/** certbot and others renew a certificate about 30 days before its end. With so many days left, the renewal has failed. */
const SOON_DAYS = 14

/** Warns now, and then once a day. Does not keep the process alive. @returns a function that stops it */
export function watchDates(credentials: TlsCredentials, log: Logger): () => void {
  warnOfDates(credentials, log)
  const timer = setInterval(() => warnOfDates(credentials, log), DAY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Logs one line for each certificate with a date that clients may refuse now or soon. */
export function warnOfDates({ current: { options } }: TlsCredentials, log: Logger): void {
  const nowMs = Date.now()
  for (const { host, cert } of certificatesOf(undefined, options)) warnOf(host, cert, nowMs, log)
  for (const [name, pairs] of Object.entries(options.sni ?? {})) {
    for (const { host, cert } of certificatesOf(name, pairs)) warnOf(host, cert, nowMs, log)
  }
}

function warnOf(host: string | undefined, pem: KeyPair['cert'], nowMs: number, log: Logger): void {
  const { subject, validFrom, validTo } = new X509Certificate(typeof pem === 'string' ? pem : Buffer.from(pem))
  const leftMs = Date.parse(validTo) - nowMs
  const facts = {
    ...(host !== undefined && { host }),
    subject: subject ?? '',
    validFrom,
    validTo,
    daysLeft: Math.floor(leftMs / DAY_MS),
  }
  if (leftMs < 0) log.warn('a certificate has expired', facts)
  else if (Date.parse(validFrom) > nowMs) log.warn('a certificate is not valid yet', facts)
  else if (leftMs < SOON_DAYS * DAY_MS) log.warn('a certificate expires soon', facts)
}

function certificatesOf(
  host: string | undefined,
  { cert, others = [] }: KeyPairs,
): { readonly host: string | undefined; readonly cert: KeyPair['cert'] }[] {
  return [cert, ...others.map((other) => other.cert)].map((pem) => ({ host, cert: pem }))
}
