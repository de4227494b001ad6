/** Posts a message to a webhook, as a stream. */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Pieces } from '@postern/relay'
import type { WebhookRequest } from '@postern/relay/onward'

/** Makes a POST, and returns its status. Follows no redirect. */
export async function post({ url, size, body, headers, signal }: WebhookRequest): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const start = url.protocol === 'https:' ? requestHttps : requestHttp
  const request = start(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': size },
    signal,
    agent: false,
  })
  request.on('error', reject)
  request.on('response', (response: IncomingMessage) => {
    resolve(response.statusCode ?? 0)
    response.on('error', () => {})
    // Nobody reads the body.
    request.destroy()
  })
  write(request, body, signal).catch(reject)
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
