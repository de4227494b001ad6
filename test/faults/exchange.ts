/** One request at the proxy, and the ways to answer it. */
import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** The real server. */
export interface Upstream {
  readonly host?: string
  readonly port: number
  /** The part of a path before the bucket. Default ''. */
  readonly basePath?: string
}

/** Changes bytes on their way: makes a stream that transforms each chunk. */
export type Change = (chunk: Buffer) => AsyncIterable<Buffer>

/** Headers of the connection, not of the message (RFC 9112 9.6). Each side of the proxy has its own. */
const HOP = new Set(['connection', 'keep-alive', 'transfer-encoding'])

export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborted once the fault is lifted, so that a slow transfer continues at full speed. */
  readonly lifted: AbortSignal
  readonly #upstream: Upstream
  /** Kept here, because a finished request has lost its own. */
  readonly #socket: Socket
  readonly #answered: (status: number) => void

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    context: { readonly upstream: Upstream; readonly lifted: AbortSignal; answered(status: number): void },
  ) {
    this.request = request
    this.response = response
    this.lifted = context.lifted
    this.#upstream = context.upstream
    this.#answered = context.answered
    this.#socket = request.socket
    response.sendDate = false
    request.on('error', () => {})
    response.on('error', () => {})
  }

  /** Passes request and answer on, with the given changes. */
  async pass(changes: { readonly request?: Change; readonly answer?: Change } = {}): Promise<void> {
    const answer = await this.forward(changes.request)
    this.begin(answer)
    if (changes.answer === undefined) await pipeline(answer, this.response)
    else await pipeline(answer, changing(changes.answer), this.response)
  }

  /** Sends the request on. @returns the server's answer, its body unread. @throws when a connection breaks. */
  async forward(change?: Change): Promise<IncomingMessage> {
    const { request } = this
    const { host = '127.0.0.1', port } = this.#upstream
    this.#welcome()
    const headers = withoutHop(request.rawHeaders)
    if (request.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked')
    const outgoing = httpRequest({ host, port, method: request.method, path: request.url, headers, agent: false })
    // A partial request must not reach the server as a whole one.
    request.once('close', () => void (request.complete || outgoing.destroy()))
    const sent = change === undefined ? pipeline(request, outgoing) : pipeline(request, changing(change), outgoing)
    // A server may answer before it has read all; then the answer counts.
    sent.catch(() => {})
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    this.#answered(answer.statusCode ?? 0)
    return answer
  }

  /** Sends the head of an answer, as the server gave it. */
  begin(answer: IncomingMessage): void {
    this.response.writeHead(answer.statusCode ?? 0, answer.statusMessage, withoutHop(answer.rawHeaders))
    this.response.flushHeaders()
  }

  /** Answers instead of the server, which does not get the request. If `reads` is true, it reads the request first. */
  async answer(
    status: number,
    headers: Record<string, string>,
    body: string | (() => AsyncIterable<Buffer>),
    reads = true,
  ): Promise<void> {
    this.#welcome()
    if (reads) await this.read()
    const isHead = this.request.method === 'HEAD'
    if (typeof body === 'string') {
      this.response.writeHead(status, { 'Content-Length': String(Buffer.byteLength(body)), ...headers })
      this.response.end(isHead ? undefined : body)
      return
    }
    this.response.writeHead(status, headers)
    await pipeline(Readable.from(isHead ? [] : body()), this.response)
  }

  /** Reads the request to its end, or up to so many bytes of its body. @returns the number of bytes */
  async read(atMost: number = Number.POSITIVE_INFINITY): Promise<number> {
    this.#welcome()
    let bytes = 0
    for await (const chunk of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes >= atMost) break
    }
    return bytes
  }

  /** Waits so long, or until the fault is lifted. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.lifted }).catch(() => undefined)
  }

  /** Resets the client's connection. */
  cut(): void {
    this.#socket.resetAndDestroy()
  }

  /** Ends the client's connection in order, once what was written is sent. */
  end(): void {
    this.#socket.end()
  }

  /** Sends 100 Continue to a client that waits for it before its body (RFC 9110 10.1.1). */
  #welcome(): void {
    if (this.request.headers.expect !== undefined && !this.response.headersSent) this.response.writeContinue()
  }
}

function changing(change: Change): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const work = async (): Promise<void> => {
        for await (const piece of change(chunk)) this.push(piece)
      }
      work().then(() => done(), done)
    },
  })
}

function withoutHop(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    if (!HOP.has((raw[i] ?? '').toLowerCase())) kept.push(raw[i] ?? '', raw[i + 1] ?? '')
  }
  return kept
}
