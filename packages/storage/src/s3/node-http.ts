/**
 * Sends requests by `node:http`, which Node, Deno and Bun all have. It sends large bodies in slices, without a copy. `fetch` copies
 * them two or three times, and on Deno it sends a stream without the length that S3 requires.
 *
 * `NODE_EXTRA_CA_CERTS` (Deno: `--cert`) names certificate authorities besides those of the system.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts'

/** Large enough to cost little, and small enough that a slow connection sends one before its idle timeout. */
const SLICE_BYTES = 256 * 1024
/** The greatest number of connections to one server. More requests wait for one. */
const MAX_CONNECTIONS = 256
/** The greatest number of idle connections that are kept. */
const MAX_SPARE_CONNECTIONS = 32
/** A reader may pause for this many idle timeouts: an hour with the default. */
const MAX_PAUSES = 180

export interface NodeHttpOptions {
  /** How long a connection may be idle. The time in which it waits for the reader of an answer does not count. */
  readonly idleTimeoutMs: number
}

export function nodeHttp({ idleTimeoutMs }: NodeHttpOptions): Transport {
  const options = { keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: MAX_SPARE_CONNECTIONS }
  const clear = new http.Agent(options)
  const secure = new https.Agent(options)
  return ({ method, url, headers, body, signal }) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      const isSecure = url.protocol === 'https:'
      const [request, agent] = isSecure ? [https.request, secure] : [http.request, clear]
      const exchange = request(url, { method, headers: withLength(headers, body), agent, signal })
      let answer: http.IncomingMessage | undefined
      let pauses = 0
      exchange.setTimeout(idleTimeoutMs)
      exchange.on('timeout', () => {
        // If bytes wait here, the slow side is the reader, and not the server.
        if (answer !== undefined && answer.readableLength > 0 && pauses++ < MAX_PAUSES)
          exchange.setTimeout(idleTimeoutMs)
        else (answer ?? exchange).destroy(new Error(`nothing moved for ${idleTimeoutMs} ms`))
      })
      exchange.once('response', (message) => resolve(answerOf((answer = message), exchange)))
      // After an answer this does nothing, because the body fails instead.
      exchange.on('error', reject)
      if (body === undefined || body.length <= SLICE_BYTES) exchange.end(body)
      else sendSlices(exchange, body)
    })
}

function withLength(headers: HttpRequest['headers'], body: HttpRequest['body']): Record<string, string> {
  return body === undefined ? { ...headers } : { ...headers, 'content-length': String(body.length) }
}

function sendSlices(exchange: http.ClientRequest, body: Uint8Array): void {
  let at = 0
  const go = (): void => {
    while (at < body.length) {
      const slice = body.subarray(at, (at += SLICE_BYTES))
      if (!exchange.write(slice)) return
    }
    exchange.off('drain', go)
    exchange.end()
  }
  exchange.on('drain', go)
  go()
}

function answerOf(message: http.IncomingMessage, exchange: http.ClientRequest): HttpAnswer {
  // The loop over the body gets this error. If nobody iterates, it is ignored.
  message.on('error', () => undefined)
  // A refusal may come before the body is sent. The rest is then not sent.
  message.once('end', () => exchange.writableFinished || exchange.destroy())
  return {
    status: message.statusCode ?? 0,
    header(name) {
      const value = message.headers[name]
      return Array.isArray(value) ? value[0] : value
    },
    body: message,
    discard: () => message.destroy(),
  }
}
