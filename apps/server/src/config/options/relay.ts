/** Sending mail on: where it goes, where it waits, and how long it is tried. */
import { asciiDomain } from '@postern/engine'
import { parseServerUrl } from '@postern/engine/client'
import { Failure } from '../../host/failure.ts'
import { type QueueChoice, queueSchema, spoolSchema } from '../urls/queue-url.ts'
import type { StoreUrl } from '../urls/store-url.ts'
import type { TimeQuantity } from '../values/quantity.ts'
import { Mistaken, NotAllowed, oneOf, optional, parsedText, quantity } from '../values/schema.ts'
import { amount, type Choice, file, files, needs, onOff, type Option } from './row.ts'
import type { PolicyRows } from './policy.ts'
import type { ProcessRows } from './process.ts'
import type { RuleRows } from './rules.ts'
import { canAuthenticate, type UserRows } from './users.ts'

export interface RelayRows {
  /**
   * Sends mail on that users submit for other domains: to the server of this URL (`smtp+starttls://user:password@smtp.example.net`), or with
   * `mx` to the servers that DNS names for each domain. Default `off`: such mail is refused.
   */
  readonly relay: Option<string, string>
  /**
   * Mail that is to be sent on waits here: a directory, or with `nats://host:4222?stream=postern&replicas=3` (`tls://` for TLS) a stream of NATS
   * JetStream that many servers share. Default `./queue`.
   */
  readonly queue: Option<string, QueueChoice>
  /** The messages of the queue: `fs:DIRECTORY`, or `s3://BUCKET/PREFIX`. Default: `spool` in the directory of the queue. */
  readonly spool: Option<string, StoreUrl | undefined>
  /** The file with the secrets of rewritten senders (SRS), one on each line. Default: `srs-secret` in the directory of the queue. */
  readonly srsSecrets: Option<string, string | undefined>
  /** The TLS of connections to the servers that DNS names: `may` takes any certificate, or none; `must` any certificate; `verified` one for the host. */
  readonly relayTls: Option<RelayTls, RelayTls>
  /** The port of those servers. Default 25. */
  readonly relayMxPort: Option<number, number>
  /** Looks for policies of MTA-STS (RFC 8461) at this port. Default 443. */
  readonly relayStsPort: Option<number, number>
  /** PEM files of authorities to trust for `verified` servers and for MTA-STS, in place of those of the runtime. */
  readonly relayCa: Option<string | readonly string[], readonly string[]>
  /** Believes the DNS servers when they say that DNSSEC has proved an answer, and uses DANE (RFC 7672). Only for servers on this machine. */
  readonly relayTrustDnssec: Option<boolean, boolean>
  /**
   * Sends reports on TLS (RFC 8460) from this address, once a day, to domains that mail goes to by `mx` and that want them. Default: none are
   * sent, and nothing is counted.
   */
  readonly tlsReportFrom: Option<string, string | undefined>
  /** The time from the first failed attempt to the second. Each later one is twice as long. Default `5m`. */
  readonly relayFirstRetryMs: Option<TimeQuantity, number>
  /** The longest time between two attempts. Default `4h`. */
  readonly relayMaxRetryMs: Option<TimeQuantity, number>
  /** When the sender is told that a message is late. Default `4h`. */
  readonly relayDelayNoticeMs: Option<TimeQuantity, number>
  /** When a message is given up, and its sender gets a report. Default `5d`. */
  readonly relayGiveUpMs: Option<TimeQuantity, number>
  /** The time for a connection to be made. Default `30s`. */
  readonly relayConnectTimeoutMs: Option<TimeQuantity, number>
  /** The time for each whole reply of a server. Default: the times of RFC 5321 4.5.3.2, from 1 to 10 minutes. */
  readonly relayTimeoutMs: Option<TimeQuantity, number | undefined>
  /** Deliveries at the same time. Default 50. */
  readonly relayMaxDeliveries: Option<number, number>
  /** The most deliveries to one destination at the same time. Default 20. */
  readonly relayMaxPerDestination: Option<number, number>
}

export type RelayTls = 'may' | 'must' | 'verified'

const group = 'Relay:'
const HOUR_MS = 3_600_000
const YEAR_MS = 31_536_000_000
/** Needs no quotes (RFC 5321 4.1.2). */
const LOCAL_PART = /^[A-Za-z0-9!#$&'*+/=?^_`{|}~-][A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{0,63}$/
const RELAY_EXAMPLE = 'smtp+starttls://user:password@smtp.example.net or lmtp+unix:/run/lmtp'
const SERVER_SCHEME = /^(?:smtps?|smtp\+starttls|lmtp|lmtp\+unix):/i
const MAX_SHOWN = 100
const RELAY_ALLOWED =
  'off, mx, or the URL of a server such as smtp+starttls://user:password@smtp.example.net, smtps://smtp.example.net or lmtp+unix:/run/lmtp'

export const relayRows: RelayRows = {
  relay: {
    schema: readRelay,
    byDefault: 'off',
    help: 'send mail on that users submit for other domains: to the server of a URL, or with mx to the servers of each domain; off refuses it',
    group,
    value: 'url',
    secret: true,
    docs: { more: '(see [Sending on](#sending-on))' },
  },
  queue: {
    schema: queueSchema,
    byDefault: './queue',
    help: 'where mail waits that is to be sent on: a directory, or nats://host:4222?stream=postern&replicas=3, which many servers share',
    group,
    value: 'place',
    commands: ['serve', 'queue', 'show'],
    docs: { more: '(see [Many servers](#many-servers-that-send-on))' },
  },
  spool: {
    schema: spoolSchema,
    byDefault: undefined,
    help: 'where the messages of the queue are: fs:DIRECTORY or s3://bucket/prefix (default: spool in the directory of the queue)',
    group,
    value: 'url',
    commands: ['serve', 'queue'],
  },
  srsSecrets: file({
    group,
    help: 'file with the secrets of rewritten senders, one on each line (default: srs-secret in the directory of the queue)',
  }),
  relayTls: {
    schema: oneOf('may', 'must', 'verified'),
    byDefault: 'may',
    help: 'TLS with the servers that DNS names: may, must, or verified (a certificate for the host)',
    group,
    value: 'policy',
  },
  relayMxPort: amount('relayMxPort', { min: 1, max: 65_535, byDefault: 25 }, { group, help: 'port of those servers' }),
  relayStsPort: amount(
    'relayStsPort',
    { min: 1, max: 65_535, byDefault: 443 },
    { group, help: 'port where policies of MTA-STS are looked for' },
  ),
  relayTrustDnssec: onOff({
    group,
    help: 'believe the DNS servers when they say that DNSSEC has proved an answer, and use DANE; only for servers on this machine',
  }),
  relayCa: files({
    group,
    help: 'authorities to trust for servers that mail is sent on to, in place of those of the runtime, PEM',
  }),
  tlsReportFrom: {
    schema: optional(parsedText(reportSender, 'an address such as tls-reports@example.com')),
    byDefault: undefined,
    help: 'send reports on TLS (TLS-RPT) from this address to the domains that want them; needs mx',
    group,
    value: 'address',
    docs: { more: '(see [Reports on TLS](#reports-on-tls))' },
  },
  relayFirstRetryMs: amount(
    'relayFirstRetryMs',
    { min: 1_000, max: YEAR_MS, byDefault: '5m' },
    { group, help: 'time from the first failed attempt to the second; each later one is twice as long' },
  ),
  relayMaxRetryMs: amount(
    'relayMaxRetryMs',
    { min: 1_000, max: YEAR_MS, byDefault: '4h' },
    { group, help: 'longest time between two attempts' },
  ),
  relayDelayNoticeMs: amount(
    'relayDelayNoticeMs',
    { min: 0, max: YEAR_MS, byDefault: '4h' },
    { group, help: 'time after which the sender is told that a message is late' },
  ),
  relayGiveUpMs: amount(
    'relayGiveUpMs',
    { min: 0, max: YEAR_MS, byDefault: '5d' },
    { group, help: 'time after which a message is given up and its sender gets a report' },
  ),
  relayConnectTimeoutMs: amount(
    'relayConnectTimeoutMs',
    { min: 100, max: HOUR_MS, byDefault: '30s' },
    { group, help: 'time for a connection to a server that mail is sent on to' },
  ),
  relayTimeoutMs: {
    schema: optional(quantity('time', 100, HOUR_MS)),
    byDefault: undefined,
    help: 'time for each whole reply of such a server, in place of those of RFC 5321 4.5.3.2',
    group,
    value: 'time',
    docs: { byDefault: '1m to 10m' },
  },
  relayMaxDeliveries: amount(
    'relayMaxDeliveries',
    { min: 1, max: 1_000, byDefault: 50 },
    { group, help: 'deliveries at the same time' },
  ),
  relayMaxPerDestination: amount(
    'relayMaxPerDestination',
    { min: 1, max: 1_000, byDefault: 20 },
    { group, help: 'most deliveries to one destination at the same time' },
  ),
}

/** Checks that the server knows whose mail is its own, and who may send. @throws Failure */
export function checkRelay({
  options,
  spelled,
}: Choice<RelayRows & RuleRows & PolicyRows & ProcessRows & UserRows>): void {
  const { relay, rules, domains, accounts, tlsReportFrom, relayFirstRetryMs, relayMaxRetryMs } = options
  const { queue, spool, srsSecrets } = options
  if (tlsReportFrom !== undefined && relay !== 'mx')
    throw needs(spelled('tlsReportFrom'), `${spelled('relay')} mx, because only its connections are counted`)
  if (tlsReportFrom !== undefined && queue.scheme === 'nats')
    throw needs(spelled('tlsReportFrom'), `${spelled('queue')} in a directory, because the counts are kept beside it`)
  if (relay === 'off') {
    if (rules.sendOn) throw needs(spelled('rules'), `${spelled('relay')}, because a rule sends mail on`)
    return
  }
  if (accounts === undefined && domains === undefined) {
    throw needs(
      spelled('relay'),
      'to know which mail is for this server: make accounts with postern user add, or give --domains',
    )
  }
  if (!canAuthenticate(options) && !rules.sendOn)
    throw needs(spelled('relay'), 'a user who may send: make one with postern user add, or give --users')
  if (queue.scheme === 'nats' && spool === undefined)
    throw needs(`${spelled('queue')} ${queue.url}`, `${spelled('spool')}, an s3: or fs: URL that all servers share`)
  if (queue.scheme === 'nats' && rules.sendOn && srsSecrets === undefined)
    throw needs(`${spelled('queue')} ${queue.url}`, `${spelled('srsSecrets')}, a file that is the same on all servers`)
  if (relayMaxRetryMs < relayFirstRetryMs) {
    throw new Failure(`${spelled('relayMaxRetryMs')}: it is less than ${spelled('relayFirstRetryMs')}`)
  }
}

/** Returns the address with its domain in ASCII: no header field of a report has anything else. */
function reportSender(text: string): string | undefined {
  const at = text.lastIndexOf('@')
  const localPart = text.slice(0, Math.max(0, at))
  const domain = asciiDomain(text.slice(at + 1))
  return domain !== undefined && LOCAL_PART.test(localPart) ? `${localPart}@${domain}` : undefined
}

/** Reads off, mx, or a URL. @throws NotAllowed, or Mistaken that names the wrong part of the URL and shows no password */
function readRelay(given: unknown): string {
  if (given === 'off' || given === 'mx') return given
  if (typeof given !== 'string') throw new NotAllowed(given, RELAY_ALLOWED)
  if (!SERVER_SCHEME.test(given)) {
    // What has no at sign has no password.
    if (given.includes('@')) throw new NotAllowed(given, RELAY_ALLOWED)
    throw new Mistaken(`${JSON.stringify(given.slice(0, MAX_SHOWN))} is not ${RELAY_ALLOWED}`, '')
  }
  try {
    const { credentials } = parseServerUrl(given)
    if (credentials === undefined || credentials.password !== undefined) return given
  } catch (error) {
    throw new Mistaken(`${(error as Error).message}; give a URL such as ${RELAY_EXAMPLE}`, '')
  }
  throw new Mistaken(`server URL: the user has no password; give a URL such as ${RELAY_EXAMPLE}`, '')
}
