/** Hands mail to webhooks: a POST of the message for each recipient, signed as Standard Webhooks says. */
import { createHash, createHmac } from 'node:crypto'
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Rules, Webhook } from '@postern/intake/directory'
import type { HandedOver, KeptHere, Pieces } from '@postern/relay'
import { errorText } from '../../host/failure.ts'

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
export function webhookHandOver(rules: () => Rules): (destination: string) => HandOver | undefined {
  let current: Rules | undefined
  let known: ReadonlyMap<string, Webhook> = new Map()
  return (destination) => {
    if (!destination.startsWith(PREFIX)) return undefined
    if (current !== rules()) {
      current = rules()
      known = new Map(current.webhooks.map((webhook) => [webhookDestination(webhook.url), webhook]))
    }
    const webhook = known.get(destination)
    return (mail) => (webhook === undefined ? Promise.resolve(mail.recipients.map(() => GONE)) : post(webhook, mail))
  }
}

async function post(webhook: Webhook, mail: HandedOver): Promise<readonly KeptHere[]> {
  const results: KeptHere[] = []
  for (const recipient of mail.recipients) {
    const last = results.at(-1)
    // A webhook that fails now would fail for the others too, each after its timeout.
    results.push(last?.state === 'temporary' ? last : await postOne(webhook, mail, recipient))
  }
  return results
}

async function postOne(
  { url, secret }: Webhook,
  { id, envelope, open, signal }: HandedOver,
  { address, index }: HandedOver['recipients'][number],
): Promise<KeptHere> {
  const webhookId = `${id}-${index}`
  const timestamp = Math.floor(Date.now() / 1000)
  const { size, signature } = await signed(open(), `${webhookId}.${timestamp}.`, secret)
  try {
    const status = await send(new URL(url), open(), AbortSignal.any([signal, AbortSignal.timeout(timeoutOf(size))]), {
      'content-type': 'message/rfc822',
      'content-length': size,
      'postern-envelope': asciiJson({ from: envelope.reversePath, to: address }),
      'user-agent': 'Postern',
      'webhook-id': webhookId,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
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

/** Returns the status. Follows no redirect. */
async function send(
  url: URL,
  pieces: Pieces,
  signal: AbortSignal,
  headers: Readonly<Record<string, string | number>>,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const start = url.protocol === 'https:' ? requestHttps : requestHttp
  const request = start(url, { method: 'POST', headers, signal, agent: false })
  request.on('error', reject)
  request.on('response', (response: IncomingMessage) => {
    resolve(response.statusCode ?? 0)
    response.on('error', () => {})
    // Nobody reads the body.
    request.destroy()
  })
  write(request, pieces, signal).catch(reject)
  return promise
}

async function write(request: ClientRequest, pieces: Pieces, signal: AbortSignal): Promise<void> {
  for await (const piece of pieces) {
    if (request.destroyed) return
    // A piece may change when the next one is asked for.
    if (!request.write(piece.slice())) await drained(request, signal)
  }
  request.end()
}

function drained(request: ClientRequest, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['drain', 'close', 'error']) request.once(event, () => resolve())
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
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
