/**
 * Answers HTTP requests. Every path that is not in this list gets 404.
 *
 *     GET /health          200 if mail is accepted, 500 if a setting is wrong
 *     GET /pipe            a WebSocket, for a token of `postern front`
 *     GET /mail            the stored records, newest first: ?limit, ?cursor, ?bounced=true
 *     GET /mail/<id>       one record
 *     GET /mail/<id>/raw   its bytes, the trace header first
 *     GET /mail/<id>/attachments/<section>   the decoded bytes of an attachment that is kept apart
 *     /queue …             mail that waits to be sent on: relay/http.ts
 *
 * /pipe exists if POSTERN_FRONT_SECRET is set, and /mail and /queue if POSTERN_READ_TOKEN is set (`Authorization: Bearer …`).
 */
import { timingSafeEqual } from 'node:crypto'
import {
  acceptPipe,
  type FrontGuard,
  frontGuard,
  pipeOverrides,
  PipeRefusedError,
  type WebSocketLike,
} from '@postern/runtime/websocket'
import { isStorageError } from '@postern/storage'
import type { Context, MiddlewareHandler } from 'hono'
import { Hono } from 'hono/tiny'
import { errorText, log } from './log.ts'
import type { OpenReceiver, Receiver } from './receiver.ts'

/** The parts of a request's context that are used here. */
export interface FetchContext {
  waitUntil(promise: Promise<unknown>): void
}

interface Routed {
  Bindings: object
  Variables: { opened: OpenReceiver }
}

/** A class that workerd has and the Web standards do not. */
declare const WebSocketPair: new () => Record<'0' | '1', WebSocketLike & { accept(): void }>
declare const FixedLengthStream: new (byteLength: number) => TransformStream<Uint8Array, Uint8Array>

/** Each record is one operation of R2. A request may do a thousand, and the listing takes some of them. */
const MAX_LIMIT = 500
/** One guard for each engine, because a guard remembers the tokens that were used. */
const guards = new WeakMap<OpenReceiver, FrontGuard>()

/** Makes the `fetch` handler of a Worker. Your own app can mount it below a path: `app.mount('/postern', fetchHandler(receiver))`. */
export function fetchHandler<Env extends object>(
  receiver: Receiver<Env>,
): (request: Request, env: Env, context: FetchContext) => Promise<Response> {
  const open: MiddlewareHandler<Routed> = (context, next) => {
    context.set('opened', receiver.open(context.env as Env))
    return next()
  }
  const http = new Hono<Routed>()
  http.get('/health', open, (context) => context.json({ status: 'ok' }))
  http.get('/pipe', open, (context) => pipe(context))
  http.use('/mail/*', open, checkToken)
  // A pattern that ends with /* is also the path without it.
  http.use('/queue/*', open, checkToken)
  http.all('/queue/*', ({ var: { opened }, req, notFound }) => opened.sendOn?.fetch(req.raw) ?? notFound())
  http.get('/mail', (context) => list(context))
  http.get('/mail/:id', (context) => show(context))
  http.get('/mail/:id/raw', (context) => download(context))
  http.get('/mail/:id/attachments/:section', (context) => downloadAttachment(context))
  http.notFound((context) => context.text('', 404))
  http.onError(failed)
  return async (request, env, context) => http.fetch(request, env, context as never)
}

async function pipe(context: Context<Routed>): Promise<Response> {
  const { opened } = context.var
  if (opened.settings.frontSecrets.length === 0) return context.notFound()
  let guard = guards.get(opened)
  if (guard === undefined) {
    guard = frontGuard({ secrets: opened.settings.frontSecrets })
    guards.set(opened, guard)
  }
  if (context.req.header('upgrade')?.toLowerCase() !== 'websocket') {
    return context.text('', 426, { upgrade: 'websocket' })
  }
  const facts = await guard.admit(context.req.raw)
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  const session = opened.server.accept(acceptPipe(server, facts), pipeOverrides(facts))
  // An open WebSocket keeps the session alive. waitUntil gives the session time after the close.
  context.executionCtx.waitUntil(session)
  return new Response(null, { status: 101, webSocket: client } as ResponseInit)
}

/** Accepts only requests with the token. Compares it in constant time. */
const checkToken: MiddlewareHandler<Routed> = async (context, next) => {
  const { readToken } = context.var.opened.settings
  if (readToken === undefined) return context.notFound()
  const [shown, wanted] = await Promise.all(
    [context.req.header('authorization') ?? '', `Bearer ${readToken}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  )
  if (shown === undefined || wanted === undefined || !timingSafeEqual(new Uint8Array(shown), new Uint8Array(wanted))) {
    return context.text('', 401, { 'www-authenticate': 'Bearer' })
  }
  await next()
  context.header('cache-control', 'no-store')
}

async function list(context: Context<Routed>): Promise<Response> {
  const { limit = '100', cursor, bounced = 'false' } = context.req.query()
  const count = Number(limit)
  if (!Number.isInteger(count) || count < 1 || count > MAX_LIMIT) return context.text(`limit: 1 to ${MAX_LIMIT}\n`, 400)
  const { mail } = context.var.opened
  const page = await mail.list({ limit: count, bounced: bounced === 'true', ...(cursor !== undefined && { cursor }) })
  return context.json(page)
}

async function show(context: Context<Routed, '/mail/:id'>): Promise<Response> {
  const { record } = await context.var.opened.mail.load(context.req.param('id'))
  return context.json(record)
}

async function download(context: Context<Routed, '/mail/:id/raw'>): Promise<Response> {
  const { record, body } = await context.var.opened.mail.load(context.req.param('id'))
  return send(context, { ...record, type: 'message/rfc822' }, body)
}

async function downloadAttachment(context: Context<Routed, '/mail/:id/attachments/:section'>): Promise<Response> {
  const { id, section } = context.req.param()
  const { mail } = context.var.opened
  const { record } = await mail.load(id)
  const attachment = await mail.attachments?.load(record, section)
  if (attachment === undefined) return context.notFound()
  return send(context, attachment.record, attachment.body)
}

/** Sends the bytes of a message or of an attachment. */
function send(
  context: Context<Routed>,
  { size, type }: { readonly size: number; readonly type: string },
  body: AsyncIterable<Uint8Array>,
): Response {
  // A browser must not interpret mail from strangers.
  const headers = { 'content-type': type, 'content-disposition': 'attachment', 'x-content-type-options': 'nosniff' }
  if (context.req.method === 'HEAD') {
    return new Response(null, { headers: { ...headers, 'content-length': String(size) } })
  }
  const chunks = heldBack(body)
  const { readable, writable } = new FixedLengthStream(size)
  const source = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return(undefined)
    },
  })
  // If the stream breaks, the response is shorter than its Content-Length.
  context.executionCtx.waitUntil(source.pipeTo(writable).catch(() => undefined))
  return new Response(readable, { headers })
}

/** Delays the stream by one chunk. A wrong checksum shows only after the last chunk, which must then not be sent. */
async function* heldBack(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  for await (const chunk of body) {
    if (held !== undefined) yield held
    held = chunk
  }
  if (held !== undefined) yield held
}

function failed(error: Error, context: Context<Routed>): Response {
  if (error instanceof PipeRefusedError) {
    log('warn', 'a front was refused', { reason: error.message })
    return context.text('', error.status)
  }
  if (isStorageError(error, 'not-found') || isStorageError(error, 'invalid-id')) return context.text('', 404)
  log('error', 'a request failed', { error: errorText(error) })
  return context.text('', 500)
}
