/** A server that does not know EDNS, without sockets: the test says when each answer comes. */
import { expect, test } from 'vitest'
import { type AskOptions, createResolver, type Reply, type Upstream } from '../src/index.ts'

/** Answers FORMERR to a query with EDNS, and otherwise that the name does not exist. */
function oldServer(asked: AskOptions[], answered: () => void): Upstream {
  return {
    url: 'udp://192.0.2.1:53',
    async ask({ name, type }, options): Promise<Reply> {
      asked.push(options)
      answered()
      const message = {
        id: 0,
        question: { name, type },
        responseCode: options.isExtended ? 'FORMERR' : 'NXDOMAIN',
        isTruncated: false,
        isAuthoritative: false,
        isRecursive: true,
        isAuthentic: false,
        answers: [],
        authorities: [],
      }
      return { status: 'answered', message, ageSeconds: 0 }
    },
  }
}

test.each([
  [0, [3_000, 3_000], 'nxdomain'],
  [1_000, [3_000, 2_000], 'nxdomain'],
  [3_000, [3_000], 'failed'],
])('if FORMERR comes after %i ms, the query without EDNS has the rest of the time', async (ms, times, status) => {
  const asked: AskOptions[] = []
  let now = 0
  const upstream = oldServer(asked, () => (now += ms))
  const resolver = createResolver({ upstreams: [upstream], attempts: 1, attemptTimeoutMs: 3_000, now: () => now })
  expect(await resolver.resolve('a.example', 'A')).toMatchObject({ status })
  expect(asked.map(({ timeoutMs }) => timeoutMs)).toEqual(times)
  expect(asked.map(({ isExtended }) => isExtended)).toEqual([true, false].slice(0, times.length))
})

test('one server without EDNS does not change the queries to another', async () => {
  const [one, other]: [AskOptions[], AskOptions[]] = [[], []]
  const failing: Upstream = {
    url: 'udp://192.0.2.2:53',
    async ask(_, options): Promise<Reply> {
      other.push(options)
      return { status: 'failed', reason: 'refused', detail: 'no' }
    },
  }
  const resolver = createResolver({ upstreams: [failing, oldServer(one, () => {})] })
  for (const name of ['a.example', 'b.example']) await resolver.resolve(name, 'A')
  expect(one.map(({ isExtended }) => isExtended)).toEqual([true, false, false])
  expect(other.map(({ isExtended }) => isExtended)).toEqual([true, true])
})
