/**
 * The contract of Duplex inside workerd.
 *
 * An object of one request may not be used by another, so one request must make both ends of a pair. In memory it does. Over
 * TCP, each incoming connection runs one check from one end. It dials a relay outside, which holds the other end of the same
 * connection, and the relay tells it which check to run.
 */
import type { Socket } from '@cloudflare/workers-types'
import type { Duplex } from '@postern/engine'
import { dial, openDuplex } from '../../src/cloudflare/index.ts'
import { contract, type MakePair } from '../../../../test/contracts/duplex/duplex.ts'
import { ensure, readBytes } from '../../../../test/contracts/duplex/exchange.ts'
import { inProcessKinds } from '../in-process.ts'
import { attempt, contractOutcomes, type Outcome } from '../../../../test/contracts/outcome.ts'
import { type Order, ORDER_BYTES, type TcpMode } from './order.ts'

/** All connections have this time, because the check is known only when they are open. Some checks wait for it, others end before. */
const lingerMs = 5_000

/** By the order's id. Plain data belongs to no request. */
const results = new Map<string, Pick<Outcome, 'result' | 'reason'>>()

interface Env {
  readonly RELAY_PORT: string
  readonly MODE: TcpMode
}

export default {
  async connect(socket: Socket, { RELAY_PORT, MODE }: Env): Promise<void> {
    const near = await openDuplex(socket, { lingerMs })
    const far = await dial({
      host: '127.0.0.1',
      port: Number(RELAY_PORT),
      lingerMs,
      ...(MODE === 'clear' ? {} : { tls: { servername: 'localhost' } }),
      implicitTls: MODE === 'implicit TLS',
    })
    const order = JSON.parse(new TextDecoder().decode(await readBytes(far, ORDER_BYTES))) as Order
    results.set(order.id, await attempt(() => obey(order, near, far)))
  },

  async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url)
    const id = searchParams.get('id')
    if (id !== null) return Response.json(results.get(id) ?? null)
    const subjects = searchParams.getAll('subject')
    const kinds = inProcessKinds.filter(({ subject }) => subjects.includes(subject))
    const outcomes: Outcome[] = []
    for await (const outcome of contractOutcomes(kinds)) outcomes.push(outcome)
    return Response.json(outcomes)
  },
}

async function obey({ check, isSwapped, isUpgraded }: Order, near: Duplex, far: Duplex): Promise<void> {
  if (isUpgraded) {
    const infos = await Promise.all([near.startTls?.(), far.startTls?.()])
    for (const [index, end] of [near, far].entries()) {
      ensure(end.tls !== undefined && end.tls === infos[index], 'tls is not what startTls answered')
      ensure(end.startTls === undefined, 'startTls is still there')
    }
  }
  const found = contract.find(({ name }) => name === check)
  ensure(found !== undefined, `there is no check '${check}'`)
  const ends = isSwapped ? ([far, near] as const) : ([near, far] as const)
  const seen = new SeenFromOneEnd()
  let isMade = false
  const makePair: MakePair = async () => {
    if (isMade) throw seen
    isMade = true
    return ends
  }
  try {
    await found?.run(makePair)
  } catch (error) {
    if (error !== seen) throw error
  }
}

/** A check runs from both ends, one pair after the other, so it gets two connections. */
class SeenFromOneEnd extends Error {}
