/** Which hops of a route are tried for a message with REQUIRETLS. */
import { ClientError, type ClientErrorFacts } from '@postern/engine/client'
import { expect, test } from 'vitest'
import { type Attempt, attempt, type Mail } from '../src/delivery/attempt.ts'
import { Connections } from '../src/delivery/connections.ts'
import type { Hop } from '../src/delivery/hop.ts'

const TLS: ClientErrorFacts = { reason: 'tls', stage: 'starttls' }

interface Tried {
  readonly places: readonly string[]
  readonly outcome: Attempt
}

/** Tries hosts with so many addresses each. No connection is made. */
async function tried(
  hosts: number,
  addresses: number,
  fail: (host: string) => ClientErrorFacts,
  requireTls = true,
): Promise<Tried> {
  const hops = Array.from({ length: hosts * addresses }, (_, at): Hop => {
    const host = `mx${Math.floor(at / addresses)}.far.example`
    const address = `192.0.2.${at}`
    return { host, address, port: 25, protocol: 'smtp', implicitTls: false, tls: 'verified' }
  })
  const mail: Mail = {
    envelope: { reversePath: 'ann@near.example', forwardPaths: ['bob@far.example'], requireTls },
    open: () => 'hello',
    facts: () => Promise.reject(new Error('nobody asks')),
  }
  const places: string[] = []
  const deps = {
    connections: new Connections(),
    connect: ({ host, address }: Hop) => {
      places.push(`${host} ${address}`)
      return Promise.reject(new ClientError(`${host} has failed`, fail(host)))
    },
  }
  return { outcome: await attempt({ hops }, mail, deps, new AbortController().signal), places }
}

test('one address is tried of each host that may not have the message', async () => {
  const { places, outcome } = await tried(4, 3, () => TLS)
  expect(places).toEqual([0, 3, 6, 9].map((at) => `mx${at / 3}.far.example 192.0.2.${at}`))
  expect(outcome).toMatchObject({ learnt: 'none', results: [{ state: 'failed', enhancedCode: '5.7.10', code: 0 }] })
  expect(outcome.results[0]?.text).toContain('mx0.far.example: mx0.far.example has failed; mx1.far.example:')
})

test('every address is tried of a host that cannot be reached, and the message waits', async () => {
  const { places, outcome } = await tried(2, 2, (host) =>
    host === 'mx0.far.example' ? { reason: 'closed', stage: 'connect' } : TLS,
  )
  expect(places).toHaveLength(3)
  expect(outcome.results).toMatchObject([{ state: 'temporary', enhancedCode: '4.4.2' }])
})

test('a message waits if there are more hosts than one attempt tries', async () => {
  const { places, outcome } = await tried(12, 1, () => TLS)
  expect(places).toHaveLength(10)
  expect(outcome.results).toMatchObject([{ state: 'temporary', enhancedCode: '4.7.10' }])
  expect(outcome.results[0]?.text.length).toBeLessThanOrEqual(1_000)
})

test.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])('a message waits if the handshake ended by %s', async (code) => {
  const { outcome } = await tried(1, 1, () => ({ ...TLS, cause: Object.assign(new Error(code), { code }) }))
  expect(outcome.results).toMatchObject([{ state: 'temporary', enhancedCode: '4.7.10' }])
})

test('a message without REQUIRETLS is tried at every address, and waits', async () => {
  const { places, outcome } = await tried(2, 2, () => TLS, false)
  expect(places).toHaveLength(4)
  expect(outcome).toMatchObject({ learnt: 'refused', results: [{ state: 'temporary', enhancedCode: '4.7.10' }] })
})
