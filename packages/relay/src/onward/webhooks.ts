/** Hands mail to webhooks: a POST of the message for each recipient, signed as Standard Webhooks says. */
import { createHash, createHmac } from 'node:crypto'
import type { HandedOver, KeptHere } from '../options.ts'
import type { Pieces } from '../pieces.ts'

/** The webhook of a rule. */
export interface Webhook {
  readonly url: string
  /** `whsec_` and the key in base64. */
  readonly secret: string
}

/** Rules, as far as they are used here. */
export interface WebhookRules {
  readonly webhooks: readonly Webhook[]
}

export interface WebhookRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** How many bytes the body has. */
  readonly size: number
  readonly body: Pieces
  readonly signal: AbortSignal
}

export interface WebhookDeps {
  /** Makes a POST, and returns its status. It follows no redirect, and reads no body of the answer. */
  post(request: WebhookRequest): Promise<number>
  /** Returns an error as text. It never throws. */
  errorText(error: unknown): string
}

/** Takes mail for one destination. */
export type HandOver = (mail: HandedOver) => Promise<readonly KeptHere[]>

const PREFIX = 'webhook:'
/** For the reply. A message may need longer to be sent: a second for each 100,000 bytes. */
const TIMEOUT_MS = 10_000
const BYTES_PER_MS = 100
const GONE: KeptHere = { state: 'temporary', code: 0, enhancedCode: '4.3.5', text: 'no rule has this webhook any more' }

/** Returns the destination of a webhook in the queue. The URL may have a secret in it, so only its host is shown. */
export function webhookDestination(url: string): string {
  return `${PREFIX}${new URL(url).host}:${createHash('sha256').update(url).digest('hex').slice(0, 16)}`
}

/**
 * Returns what takes the mail for a destination; undefined if the destination is no webhook.
 * @param rules Called for each delivery, because the rules may change while the server runs
 */
export function webhookHandOver(
  rules: () => WebhookRules,
  deps: WebhookDeps,
): (destination: string) => HandOver | undefined {
  let current: WebhookRules | undefined
  let known: ReadonlyMap<string, Webhook> = new Map()
  return (destination) => {
    if (!destination.startsWith(PREFIX)) return undefined
    if (current !== rules()) {
      current = rules()
      known = new Map(current.webhooks.map((webhook) => [webhookDestination(webhook.url), webhook]))
    }
    const webhook = known.get(destination)
    return (mail) =>
      webhook === undefined ? Promise.resolve(mail.recipients.map(() => GONE)) : postAll(webhook, mail, deps)
  }
}

async function postAll(webhook: Webhook, mail: HandedOver, deps: WebhookDeps): Promise<readonly KeptHere[]> {
  const results: KeptHere[] = []
  for (const recipient of mail.recipients) {
    const last = results.at(-1)
    // A webhook that fails now would fail for the others too, each after its timeout.
    results.push(last?.state === 'temporary' ? last : await postOne(webhook, mail, recipient, deps))
  }
  return results
}

async function postOne(
  { url, secret }: Webhook,
  { id, envelope, open, signal }: HandedOver,
  { address, index }: HandedOver['recipients'][number],
  { post, errorText }: WebhookDeps,
): Promise<KeptHere> {
  const webhookId = `${id}-${index}`
  const timestamp = Math.floor(Date.now() / 1000)
  const { size, signature } = await signed(open(), `${webhookId}.${timestamp}.`, secret)
  try {
    const status = await post({
      url: new URL(url),
      size,
      body: open(),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutOf(size))]),
      headers: {
        'content-type': 'message/rfc822',
        'postern-envelope': asciiJson({ from: envelope.reversePath, to: address }),
        'user-agent': 'Postern',
        'webhook-id': webhookId,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`,
      },
    })
    return resultOf(status)
  } catch (error) {
    return { state: 'temporary', code: 0, enhancedCode: '4.4.1', text: `the webhook failed: ${errorText(error)}` }
  }
}

function timeoutOf(size: number): number {
  return TIMEOUT_MS + Math.ceil(size / BYTES_PER_MS)
}

/** Signs the bytes as they are. The library for this takes a text, and a message may have bytes that are none. */
async function signed(pieces: Pieces, begin: string, secret: string): Promise<{ size: number; signature: string }> {
  const hmac = createHmac('sha256', Buffer.from(secret.slice(secret.indexOf('_') + 1), 'base64')).update(begin)
  let size = 0
  for await (const piece of pieces) {
    size += piece.length
    hmac.update(piece)
  }
  return { size, signature: hmac.digest('base64') }
}

/** A redirect is a mistake in the rule that somebody may mend. */
function resultOf(status: number): KeptHere {
  const text = `the webhook answered ${status}`
  if (status >= 200 && status < 300) return { state: 'delivered', code: 250, enhancedCode: '2.0.0', text }
  const isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429
  if (isFinal) return { state: 'failed', code: 550, enhancedCode: '5.3.0', text }
  return { state: 'temporary', code: 451, enhancedCode: '4.3.0', text }
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
