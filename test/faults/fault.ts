/** The faults that the proxy can cause for a request to an S3 server. */
import type { Change, Exchange } from './exchange.ts'
import type { Fault } from './proxy.ts'

/** Answers with an error of S3. Default: reads the request first. */
export function refusal(
  status: number,
  code: string,
  { headers = {}, reads = true }: { readonly headers?: Record<string, string>; readonly reads?: boolean } = {},
): Fault {
  const body = errorXml(code)
  return async (exchange) => {
    // A server that answers before it has read all closes this connection.
    const closing = reads ? {} : { Connection: 'close' }
    await exchange.answer(status, { 'Content-Type': 'application/xml', ...headers, ...closing }, body, reads)
    if (!reads) exchange.end()
  }
}

/** Returns the body of an error. */
export function errorXml(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>told by the test</Message></Error>`
}

/** Answers as no S3 server does. */
export function answerOf(
  status: number,
  body: string | (() => AsyncIterable<Buffer>),
  headers: Record<string, string> = {},
): Fault {
  return (exchange) => exchange.answer(status, headers, body)
}

/** Lets the server do the request, and replaces its answer. */
export function otherAnswer(status: number, body: string, headers: Record<string, string> = {}): Fault {
  return async (exchange) => {
    const answer = await exchange.forward()
    answer.resume()
    await exchange.answer(status, headers, body, false)
  }
}

/** Sends an answer that never ends. */
export async function* endless(): AsyncGenerator<Buffer> {
  yield Buffer.from('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>')
  const more = Buffer.alloc(64 * 1024, '<Contents><Key>endless</Key></Contents>')
  for (;;) yield more
}

/** Resets the connection after so many bytes of the body, all of which reached the server. */
export function cutRequest(afterBytes: number): Fault {
  return (exchange) => exchange.pass({ request: cutShort(afterBytes, () => exchange.cut()) })
}

/** Lets the server do the request, and cuts the answer after so many bytes of its body. */
export function cutAnswer(afterBytes: number): Fault {
  return async (exchange) => {
    const answer = await exchange.forward()
    exchange.begin(answer)
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      exchange.response.write(chunk.subarray(0, afterBytes))
      break
    }
    // The written bytes are sent before the reset.
    await pause(20)
    exchange.cut()
  }
}

/** Lets the server do the request, and resets the connection instead of the answer. */
export const loseAnswer: Fault = async (exchange) => {
  const answer = await exchange.forward()
  for await (const _ of answer) continue
  exchange.cut()
}

/** Lets the server do the request, and sends no answer. The connection stays open. */
export const keepAnswer: Fault = async (exchange) => {
  const answer = await exchange.forward()
  answer.resume()
}

/** Reads the request and sends no answer. The server does not get the request. */
export const hang: Fault = async (exchange) => {
  await exchange.read()
}

/** Does not read the body for so long, and sends no answer. */
export function holdBody(ms: number): Fault {
  return async (exchange) => {
    await exchange.pause(ms)
    await exchange.read()
  }
}

/** Acts like a server that closed the idle connection: the request finds it closed. */
export const reset: Fault = (exchange) => exchange.cut()

/** Sends the answer, and then closes the connection without announcing it. */
export const closeAfter: Fault = async (exchange) => {
  await exchange.pass()
  exchange.end()
}

/** Sends unrequested `100 Continue` and `103 Early Hints` (RFC 9110 15.2: a client must accept them). */
export const interim: Fault = async (exchange) => {
  exchange.response.writeContinue()
  exchange.response.writeEarlyHints({ link: '</hint>; rel=preload' })
  await exchange.pass()
}

/** Passes the body of the request on in pieces of so many bytes. */
export function dripRequest(bytes: number, everyMs: number): Fault {
  return (exchange) => exchange.pass({ request: dripped(exchange, bytes, everyMs) })
}

/** Sends the head of the answer at once, then its body in pieces of so many bytes. */
export function dripAnswer(bytes: number, everyMs: number): Fault {
  return (exchange) => exchange.pass({ answer: dripped(exchange, bytes, everyMs) })
}

/** Sends an endless answer, one byte at each interval. */
export function dripForever(everyMs: number): Fault {
  return answerOf(200, async function* () {
    for (;;) {
      yield Buffer.from(' ')
      await pause(everyMs)
    }
  })
}

/** Delays the request. */
export function delay(ms: number): Fault {
  return async (exchange) => {
    await exchange.pause(ms)
    await exchange.pass()
  }
}

/** Changes one byte of the body before the server gets it. */
export function corruptRequest(at: number): Fault {
  return (exchange) => exchange.pass({ request: corrupted(at) })
}

function corrupted(at: number): Change {
  let offset = 0
  return async function* (chunk) {
    const copy = Buffer.from(chunk)
    if (at >= offset && at < offset + copy.length) copy[at - offset] = (copy[at - offset] ?? 0) ^ 1
    offset += copy.length
    yield copy
  }
}

function cutShort(bytes: number, cut: () => void): Change {
  let left = bytes
  return async function* (chunk) {
    yield chunk.subarray(0, left)
    left = Math.max(0, left - chunk.length)
    if (left === 0) cut()
  }
}

function dripped(exchange: Exchange, bytes: number, everyMs: number): Change {
  return async function* (chunk) {
    for (let at = 0; at < chunk.length;) {
      const end = exchange.lifted.aborted ? chunk.length : at + bytes
      yield chunk.subarray(at, end)
      at = end
      await exchange.pause(everyMs)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
