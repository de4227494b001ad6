/**
 * Answers requests for the queue, with the words of `postern queue`. The request has shown the token already.
 *
 *     GET    /queue                what waits, the oldest first: ?state, ?destination, ?limit, ?cursor
 *     GET    /queue/stats          how many messages and deliveries there are, and which destinations have the most
 *     GET    /queue/<id>           one message, with each recipient
 *     GET    /queue/<id>/raw       its bytes
 *     POST   /queue/<id>/retry     tries it now; also hold and release. 409 if it is held, or finished, or not held
 *     DELETE /queue/<id>           removes it. Nobody gets a report
 *     POST   /queue/retry          the same for more messages: ?destination or ?all=true; also hold and release
 *     DELETE /queue                the same: ?all=true
 */
import { asciiDomain } from '@postern/engine'
import type { Spool } from '@postern/relay'
import { type DeliveryState, described, isoTime } from '@postern/relay/entries'
import type { Context } from 'hono'
import { Hono } from 'hono/tiny'
import type { ChosenEntries, QueueAction, ReachQueue } from './rpc.ts'
import { streamOf } from './stream.ts'

const STATES: readonly DeliveryState[] = ['waiting', 'due', 'held', 'finished']
/** An entry may have 300 recipients, each with a reply, and an isolate has only 128 MiB. */
const MAX_LIMIT = 200
const ID = /^[A-Za-z0-9._-]{1,128}$/

/** Makes what answers them. */
export function queueRequests(reach: ReachQueue, spool: Spool): (request: Request) => Promise<Response> {
  const http = new Hono()
  http.get('/queue', (context) => list(context, reach))
  http.get('/queue/stats', async (context) => {
    const { oldestQueuedAt, ...stats } = await reach().stats()
    return context.json({ ...stats, ...(oldestQueuedAt !== undefined && { oldestQueuedAt: isoTime(oldestQueuedAt) }) })
  })
  http.get('/queue/:id', async (context) => {
    const entry = await entryOf(context, reach)
    return entry === undefined ? context.notFound() : context.json(described(entry))
  })
  http.get('/queue/:id/raw', async (context) => {
    const entry = await entryOf(context, reach)
    if (entry === undefined) return context.notFound()
    // A browser must not interpret mail from strangers.
    const headers = { 'content-type': 'message/rfc822', 'x-content-type-options': 'nosniff' }
    return new Response(streamOf(spool.open(entry.messageId)), { headers })
  })
  for (const action of ['retry', 'hold', 'release'] as const) {
    http.post(`/queue/${action}`, (context) => changeChosen(context, reach, action))
    http.post(`/queue/:id/${action}`, (context) => changeOne(context, reach, action))
  }
  http.delete('/queue', (context) => changeChosen(context, reach, 'delete'))
  http.delete('/queue/:id', (context) => changeOne(context, reach, 'delete'))
  http.notFound((context) => context.text('', 404))
  // The handler that mounts these knows what an error means.
  http.onError((error) => {
    throw error
  })
  return async (request) => http.fetch(request)
}

async function list(context: Context, reach: ReachQueue): Promise<Response> {
  const { limit = '50', cursor, state, destination } = context.req.query()
  const count = Number(limit)
  if (!Number.isInteger(count) || count < 1 || count > MAX_LIMIT) return context.text(`limit: 1 to ${MAX_LIMIT}\n`, 400)
  const wanted = STATES.find((one) => one === state)
  if (state !== undefined && wanted === undefined) return context.text(`state: ${STATES.join(', ')}\n`, 400)
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) return context.text('cursor: of an earlier answer\n', 400)
  const page = await reach().list({
    limit: count,
    ...(wanted !== undefined && { state: wanted }),
    ...(cursor !== undefined && { cursor }),
    ...(destination !== undefined && { destination: spelled(destination) }),
  })
  return context.json({ ...page, entries: page.entries.map(described) })
}

async function entryOf(context: Context, reach: ReachQueue): ReturnType<ReturnType<ReachQueue>['show']> {
  const id = context.req.param('id') ?? ''
  return ID.test(id) ? reach().show(id) : undefined
}

async function changeOne(context: Context, reach: ReachQueue, action: QueueAction): Promise<Response> {
  const id = context.req.param('id') ?? ''
  if (!ID.test(id)) return context.notFound()
  const count = await reach().change(action, { ids: [id] })
  if (count > 0) return context.json({ count })
  const entry = await reach().show(id)
  if (entry === undefined) return context.notFound()
  const states = [...new Set(entry.deliveries.map(({ state }) => state))]
  return context.text(`${action}: its deliveries are ${states.join(', ')}\n`, 409)
}

/** Changes more than one, if the request says clearly which. */
async function changeChosen(context: Context, reach: ReachQueue, action: QueueAction): Promise<Response> {
  const { destination, all } = context.req.query()
  const mayBeDestination = action !== 'delete' && destination !== undefined && destination !== ''
  let chosen: ChosenEntries | undefined
  if (all === 'true' && destination === undefined) chosen = { all: true }
  else if (mayBeDestination && all === undefined) chosen = { destination: spelled(destination) }
  if (chosen === undefined) {
    const allowed = action === 'delete' ? '?all=true' : '?destination=example.com or ?all=true'
    return context.text(`give an id, or ${allowed}\n`, 400)
  }
  return context.json({ count: await reach().change(action, chosen) })
}

/** An address literal is no domain, and is a destination all the same. */
function spelled(destination: string): string {
  return asciiDomain(destination) ?? destination.toLowerCase()
}
