/** What can go wrong with a request to an S3 server, for the proxy to do. */
import type { Change, Exchange } from './exchange.ts'
import type { Fault } from './proxy.ts'

/** An answer of S3's own that says what is wrong. Default: the request is read before. */
export function refusal(
  status: number,
  code: string,
  { headers = {}, reads = true }: { readonly headers?: Record<string, string>; readonly reads?: boolean } = {},
): Fault {
  const body = errorXml(code)
  return async (exchange) => {
    // Who answers before it has read all does not go on with this connection.
    const closing = reads ? {} : { Connection: 'close' }
    await exchange.answer(status, { 'Content-Type': 'application/xml', ...headers, ...closing }, body, reads)
    if (!reads) exchange.end()
  }
}

/** The body of an error. */
export function errorXml(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>told by the test</Message></Error>`
}

/** An answer that is no S3 server's. */
export function answerOf(
  status: number,
  body: string | (() => AsyncIterable<Buffer>),
  headers: Record<string, string> = {},
): Fault {
  return (exchange) => exchange.answer(status, headers, body)
}

/** What the server did is done, and its answer is replaced. */
export function otherAnswer(status: number, body: string, headers: Record<string, string> = {}): Fault {
  return async (exchange) => {
    const answer = await exchange.forward()
    answer.resume()
    await exchange.answer(status, headers, body, false)
  }
}

/** An answer that never ends. */
export async function* endless(): AsyncGenerator<Buffer> {
  yield Buffer.from('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult>')
  const more = Buffer.alloc(64 * 1024, '<Contents><Key>endless</Key></Contents>')
  for (;;) yield more
}

/** A reset once so much of the body was read, all of it passed to the server. */
export function cutRequest(afterBytes: number): Fault {
  return (exchange) => exchange.pass({ request: cutShort(afterBytes, () => exchange.cut()) })
}

/** The server does it, and the answer is cut after so many bytes of its body. */
export function cutAnswer(afterBytes: number): Fault {
  return async (exchange) => {
    const answer = await exchange.forward()
    exchange.begin(answer)
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      exchange.response.write(chunk.subarray(0, afterBytes))
      break
    }
    // What was written leaves before the reset does.
    await pause(20)
    exchange.cut()
  }
}

/** The server does it, and nobody hears of it: the connection is reset. */
export const loseAnswer: Fault = async (exchange) => {
  const answer = await exchange.forward()
  for await (const _ of answer) continue
  exchange.cut()
}

/** The server does it, and nobody hears of it: the connection stays open, without a word. */
export const keepAnswer: Fault = async (exchange) => {
  const answer = await exchange.forward()
  answer.resume()
}

/** The request is read, and nothing comes back. The server hears nothing of it. */
export const hang: Fault = async (exchange) => {
  await exchange.read()
}

/** The body is not even read for so long, and nothing comes back. */
export function holdBody(ms: number): Fault {
  return async (exchange) => {
    await exchange.pause(ms)
    await exchange.read()
  }
}

/** A connection that was closed by the server while it was idle: the request finds it closed. */
export const reset: Fault = (exchange) => exchange.cut()

/** The answer comes, and the connection is closed behind it without a word of warning. */
export const closeAfter: Fault = async (exchange) => {
  await exchange.pass()
  exchange.end()
}

/** `100 Continue`, and `103 Early Hints`, that nobody asked for (RFC 9110 15.2: a client has to be able to take them). */
export const interim: Fault = async (exchange) => {
  exchange.response.writeContinue()
  exchange.response.writeEarlyHints({ link: '</hint>; rel=preload' })
  await exchange.pass()
}

/** The request's body goes on to the server so many bytes at a time. */
export function dripRequest(bytes: number, everyMs: number): Fault {
  return (exchange) => exchange.pass({ request: dripped(exchange, bytes, everyMs) })
}

/** The answer's head comes at once, then its body so many bytes at a time. */
export function dripAnswer(bytes: number, everyMs: number): Fault {
  return (exchange) => exchange.pass({ answer: dripped(exchange, bytes, everyMs) })
}

/** An answer without end, a byte every so often. */
export function dripForever(everyMs: number): Fault {
  return answerOf(200, async function* () {
    for (;;) {
      yield Buffer.from(' ')
      await pause(everyMs)
    }
  })
}

/** All comes later. */
export function delay(ms: number): Fault {
  return async (exchange) => {
    await exchange.pause(ms)
    await exchange.pass()
  }
}

/** One byte of the body is another when the server gets it. */
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
