/** DNS over HTTPS (RFC 8484), by `fetch`. */
import { failed } from './answer.ts'
import { answersQuestion, decodeResponse, encodeQuery, MAX_MESSAGE_BYTES } from './message/codec.ts'
import type { AskOptions, Reply, Upstream } from './upstream.ts'
import type { Question } from './message/codec.ts'

const MEDIA_TYPE = 'application/dns-message'

export interface HttpsOptions {
  /** Default: the runtime's. */
  readonly fetch?: typeof fetch
}

/**
 * Makes a server that is asked over HTTPS, such as `https://dns.example/dns-query`.
 *
 * Its name in the URL is looked up by the runtime, so take one that has an address in its certificate, or be sure that the runtime can.
 * @throws TypeError if it is not such a URL
 */
export function httpsUpstream(url: string, options: HttpsOptions = {}): Upstream {
  const { protocol, href } = new URL(url)
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError(`${url} is not the URL of a server over HTTPS`)
  const send = options.fetch ?? fetch
  return { url: href, ask: (question, asked) => ask(href, send, question, asked) }
}

async function ask(url: string, send: typeof fetch, question: Question, options: AskOptions): Promise<Reply> {
  // Node takes whole milliseconds only.
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(Math.ceil(options.timeoutMs))])
  try {
    const response = await send(url, {
      method: 'POST',
      headers: { 'content-type': MEDIA_TYPE, accept: MEDIA_TYPE },
      // The id is 0, so that the same question is the same request (RFC 8484 4.1).
      body: encodeQuery(0, question, options) as Uint8Array<ArrayBuffer>,
      // Not 'error', which workerd does not have.
      redirect: 'manual',
      signal,
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      return failed('servfail', `the server answers with HTTP status ${response.status}`)
    }
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
    const bytes = type.trim().toLowerCase() === MEDIA_TYPE ? await readBounded(response) : undefined
    const message = bytes && decodeResponse(bytes)
    if (message === undefined || message.isTruncated) return failed('malformed', 'the server sends what is no answer')
    if (!answersQuestion(message, question, options.isExtended)) {
      return failed('malformed', 'the server answers another question')
    }
    return { status: 'answered', message, ageSeconds: ageOf(response) }
  } catch {
    if (options.signal.aborted) return failed('aborted', 'nobody waits for the answer')
    if (signal.aborted) return failed('timeout', 'no answer in time')
    return failed('unreachable', 'the server cannot be reached')
  }
}

/** Reads the body. Returns undefined if it is too long. */
async function readBounded(response: Response): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(MAX_MESSAGE_BYTES)
  let length = 0
  for await (const chunk of response.body ?? []) {
    // Leaving the loop cancels the body.
    if (length + chunk.length > bytes.length) return undefined
    bytes.set(chunk, length)
    length += chunk.length
  }
  return bytes.subarray(0, length)
}

/** Returns how long a cache between has kept the response: its TTLs count from before that (RFC 8484 5.1). */
function ageOf(response: Response): number {
  const age = response.headers.get('age') ?? ''
  return /^\d{1,9}$/.test(age) ? Number(age) : 0
}
