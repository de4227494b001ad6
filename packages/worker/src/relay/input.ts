/** Settings of mail that is sent on, in a Worker's code. */
import type { RuleData } from '@postern/intake/directory'

/** A key that signs by DKIM. */
export interface DkimKeyInput {
  /** The domain that answers for the message. The key also signs for domains below it. */
  readonly domain: string
  readonly selector: string
  /** The private key, as PEM. */
  readonly key: string
  /** A time such as `2026-12-05T00:00:00Z`. The key does not sign before. */
  readonly signsFrom?: string
  /** The key does not sign from then on. */
  readonly signsUntil?: string
}

/** Settings in a Worker's code. Vars and secrets override them. */
export interface RelaySettingsInput {
  /** The URL of the smarthost. `off` refuses mail for other domains. */
  readonly relay?: string
  readonly dkim?: DkimKeyInput | readonly DkimKeyInput[] | string
  readonly rules?: readonly RuleData[] | string
  /** The secret of rewritten senders (SRS). While you replace it, give two. */
  readonly srsSecret?: string | readonly string[]
  /** The time from the first failed attempt to the second. Each later one is twice as long. Default 5 minutes. */
  readonly relayFirstRetryMs?: number
  /** The longest time between two attempts. Default 4 hours. */
  readonly relayMaxRetryMs?: number
  /** When the sender is told that a message is late. Default 4 hours. */
  readonly relayDelayNoticeMs?: number
  /** When a message is given up, and its sender gets a report. Default 5 days. */
  readonly relayGiveUpMs?: number
  /** The time for a connection to be made. Default 30 s. */
  readonly relayConnectTimeoutMs?: number
  /** The time for each whole reply of the smarthost. Default: the times of RFC 5321 4.5.3.2, from 1 to 10 minutes. */
  readonly relayTimeoutMs?: number
  /** Deliveries at the same time. Default 4: a Worker on Cloudflare has at most 6 connections at the same time, and R2 needs some. */
  readonly relayMaxDeliveries?: number
  /** The most deliveries to one destination at the same time. Default 4. */
  readonly relayMaxPerDestination?: number
}
