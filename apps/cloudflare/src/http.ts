/**
 * Answers HTTP requests. Every path that is not in this list gets 404.
 *
 *     GET /health          200 if mail is accepted, 500 if a setting is wrong
 *     GET /pipe            a WebSocket, for a token of `postern front`
 *     GET /mail            the stored records, newest first: ?limit, ?cursor, ?bounced=true
 *     GET /mail/<id>       one record
 *     GET /mail/<id>/raw   its bytes, the trace header first
 *
 * /pipe exists if POSTERN_FRONT_SECRET is set, and /mail if POSTERN_READ_TOKEN is set (`Authorization: Bearer …`).
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
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import type { Env } from './env.ts'
import { type Intake, intakeOf } from './intake.ts'
import { errorText, log } from '@postern/worker'

interface Setting {
  Bindings: Env
}

/** Each record costs one operation of R2. A request may make a thousand, and the listing itself needs some. */
const MAX_LIMIT = 500
/** A guard remembers used tokens, so each intake keeps the same guard. */
const guards = new WeakMap<Intake, FrontGuard>()

export const http: Hono<Setting> = new Hono<Setting>()

http.get('/health', (context) => {
  intakeOf(context.env)
  return context.json({ status: 'ok' })
})

http.get('/pipe', async (context) => {
  const intake = intakeOf(context.env)
  if (intake.settings.frontSecrets.length === 0) return context.notFound()
  let guard = guards.get(intake)
  if (guard === undefined) {
    guard = frontGuard({ secrets: intake.settings.frontSecrets })
    guards.set(intake, guard)
  }
  if (context.req.header('upgrade')?.toLowerCase() !== 'websocket') {
    return context.text('', 426, { upgrade: 'websocket' })
  }
  const facts = await guard.admit(context.req.raw)
  const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
  server.accept()
  const session = intake.server.accept(acceptPipe(server as unknown as WebSocketLike, facts), pipeOverrides(facts))
  // An open WebSocket keeps the session alive. waitUntil gives the session time after the close.
  context.executionCtx.waitUntil(session)
  return new Response(null, { status: 101, webSocket: client })
})

/** Accepts only requests with the token. Compares it in constant time. */
const reader: MiddlewareHandler<Setting> = async (context, next) => {
  const { readToken } = intakeOf(context.env).settings
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
http.use('/mail', reader)
http.use('/mail/*', reader)

http.get('/mail', async (context) => {
  const { limit = '100', cursor, bounced = 'false' } = context.req.query()
  const count = Number(limit)
  if (!Number.isInteger(count) || count < 1 || count > MAX_LIMIT) return context.text(`limit: 1 to ${MAX_LIMIT}\n`, 400)
  const { mail } = intakeOf(context.env)
  const page = await mail.list({ limit: count, bounced: bounced === 'true', ...(cursor !== undefined && { cursor }) })
  return context.json(page)
})

http.get('/mail/:id', async (context) => {
  const { record } = await intakeOf(context.env).mail.load(context.req.param('id'))
  return context.json(record)
})

http.get('/mail/:id/raw', async (context) => {
  const { record, body } = await intakeOf(context.env).mail.load(context.req.param('id'))
  // A browser must not interpret mail from strangers.
  const headers = { 'content-type': 'message/rfc822', 'x-content-type-options': 'nosniff' }
  if (context.req.method === 'HEAD') {
    return new Response(null, { headers: { ...headers, 'content-length': String(record.size) } })
  }
  const chunks = heldBack(body)
  const { readable, writable } = new FixedLengthStream(record.size)
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
})

/** Delays the stream by one chunk. A wrong checksum shows only after the last chunk, which must then not be sent. */
async function* heldBack(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined
  for await (const chunk of body) {
    if (held !== undefined) yield held
    held = chunk
  }
  if (held !== undefined) yield held
}

http.notFound((context) => context.text('', 404))

http.onError((error, context: Context<Setting>) => {
  if (error instanceof PipeRefusedError) {
    log('warn', 'a front was refused', { reason: error.message })
    return context.text('', error.status)
  }
  if (isStorageError(error, 'not-found') || isStorageError(error, 'invalid-id')) return context.text('', 404)
  log('error', 'a request failed', { error: errorText(error) })
  return context.text('', 500)
})
