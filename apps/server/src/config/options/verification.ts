/** Whether the server finds out who sent a message, and what it does with mail whose sender is not proved. */
import type { BlobStore, MailStore } from '@postern/storage'
import { LIMIT_RULES, asciiDomain } from '@postern/engine'
import { Failure } from '../../host/failure.ts'
import { isStore, parseStoreUrl, STORE_ALLOWED, type StoreChoice } from '../urls/store-url.ts'
import { formatQuantity, type TimeQuantity } from '../values/quantity.ts'
import { commaList, oneOf, optional, parsed, parsedText } from '../values/schema.ts'
import type { LimitRows } from './limits.ts'
import { amount, type Choice, needs, type Option } from './row.ts'

type VerifyPolicy = 'off' | 'tag' | 'quarantine' | 'reject'

export interface VerificationRows {
  /**
   * Checks SPF, DKIM, DMARC, ARC and the name of the client, writes Authentication-Results on top of each message and the verdicts into its
   * record. `tag` keeps every message. `quarantine` keeps a message elsewhere if DMARC fails and the owner of the domain asks for quarantine or for
   * more. `reject` refuses it with `550 5.7.26` if the owner asks for that. Default `off`.
   */
  readonly verify: Option<VerifyPolicy, VerifyPolicy>
  /** The store of `verify: 'quarantine'`: `fs:./quarantine`, `s3://bucket/quarantine`, or another one. */
  readonly quarantine: Option<string | BlobStore | MailStore, StoreChoice | undefined>
  /** How long DNS may take after the last byte of a message, and then once more for DMARC. Default `5s`. */
  readonly verifyTimeoutMs: Option<TimeQuantity, number>
  /** Forwarders whose ARC seals are believed: domains. Default: none. */
  readonly trustedSealers: Option<string | readonly string[], readonly string[]>
}

const group = 'Verification:'
/** The store takes most of the time of the hook. */
const SHARE_OF_HOOK_TIME = 0.1

export const verificationRows: VerificationRows = {
  verify: {
    schema: oneOf('off', 'tag', 'quarantine', 'reject'),
    byDefault: 'off',
    help: 'check who sent a message, by SPF, DKIM, DMARC and ARC: off, tag, quarantine or reject',
    group,
    value: 'policy',
    docs: { more: '(see [Verification](#verification))' },
  },
  quarantine: {
    schema: optional(
      parsed<StoreChoice>(
        (given) => (typeof given === 'string' ? parseStoreUrl(given) : isStore(given) ? given : undefined),
        STORE_ALLOWED,
      ),
    ),
    byDefault: undefined,
    help: 'where --verify quarantine stores mail whose sender is not proved: fs:DIRECTORY, s3://BUCKET/PREFIX, …',
    group,
    value: 'url',
    commands: ['serve', 'release'],
  },
  verifyTimeoutMs: amount(
    'verifyTimeoutMs',
    { min: 1, max: LIMIT_RULES.hookTimeoutMs.max, byDefault: '5s' },
    { group, help: 'time for DNS after the last byte of a message, and then once more for DMARC' },
  ),
  trustedSealers: {
    schema: commaList(parsedText(asciiDomain, 'a domain such as example.com')),
    byDefault: [],
    help: 'forwarders whose ARC seals are believed: domains',
    group,
    value: 'domains',
    repeatable: true,
  },
}

/** Checks that the policy has what it needs, and that DNS leaves time for the store. @throws Failure */
export function checkVerification({ options, spelled }: Choice<VerificationRows & LimitRows>): void {
  const { verify, quarantine, verifyTimeoutMs, hookTimeoutMs } = options
  if (verify === 'quarantine' && quarantine === undefined) {
    throw needs(`${spelled('verify')} quarantine`, 'a store for that mail: give --quarantine fs:./quarantine')
  }
  if (verify !== 'quarantine' && quarantine !== undefined) {
    throw needs(spelled('quarantine'), '--verify quarantine')
  }
  const mostMs = Math.floor((hookTimeoutMs * SHARE_OF_HOOK_TIME) / 2)
  if (verify === 'off' || verifyTimeoutMs <= mostMs) return
  const [time, hookTime] = [verifyTimeoutMs, hookTimeoutMs].map((ms) => formatQuantity(ms, 'time'))
  throw new Failure(
    `${spelled('verifyTimeoutMs')}: ${time} is more than a twentieth of ${spelled('hookTimeoutMs')}, which is ${hookTime}`,
  )
}
