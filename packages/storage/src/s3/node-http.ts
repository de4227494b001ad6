/**
 * Requests by `node:http`, which Node, Deno and Bun all have: large bodies go out in slices, without a copy. Their `fetch` copies
 * them two or three times, and on Deno sends a stream without the length that S3 insists on.
 *
 * `NODE_EXTRA_CA_CERTS` (Deno: `--cert`) names authorities besides the system's.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type { HttpAnswer, HttpRequest, Transport } from './transport.ts'

/** Large enough to cost little, small enough that a slow connection is seen to move. */
const SLICE_BYTES = 256 * 1024
/** Connections to one server. More requests wait for one. */
const MAX_CONNECTIONS = 256
/** Connections that are kept for the next request. */
const MAX_SPARE_CONNECTIONS = 32
/** How many idle times who reads an answer may take: an hour, where nothing else was said. */
const MAX_PAUSES = 180

export interface NodeHttpOptions {
  /** How long a connection may stand still; not while it waits for who reads the answer. */
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
        // What waits here to be read holds the rest up: it is not the server that stands still.
        if (answer !== undefined && answer.readableLength > 0 && pauses++ < MAX_PAUSES)
          exchange.setTimeout(idleTimeoutMs)
        else (answer ?? exchange).destroy(new Error(`nothing moved for ${idleTimeoutMs} ms`))
      })
      exchange.once('response', (message) => resolve(answerOf((answer = message), exchange)))
      // After an answer this is of no more interest: its body fails by itself.
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
  // Whatever breaks it off is told to who iterates; who does not need not hear.
  message.on('error', () => undefined)
  // A refusal may come before all was sent: the rest is of no use.
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
