/** Servers that do not answer, or not as they should, and what a resolver keeps and shares. */
import { type DnsCheck, expectAnswer, expectEqual, expectFailure, found, LONG_MS } from './check.ts'
import { SLOW_TEXT } from './values.ts'

/** A wait that is to end. */
const SHORT_MS = 300

/** A runtime may not tell it. */
export const NOBODY = 'a server that nobody runs is unreachable'

const RECORDS = ['192.0.2.1', '192.0.2.2']

export const waits: readonly DnsCheck[] = [
  {
    name: 'a lost query is sent again',
    async run({ make }, own) {
      const resolver = make({ attempts: 100, attemptTimeoutMs: 500 })
      await expectAnswer(resolver.resolve(`lost.${own}`, 'A'), found(`lost.${own}`, ['192.0.2.1']))
      if (resolver.counts.asked < 3) throw new Error(`${resolver.counts.asked} questions`)
    },
  },
  {
    name: 'a server that never answers is asked as often as the option says',
    async run({ make }, own) {
      const resolver = make({ attempts: 3, attemptTimeoutMs: SHORT_MS })
      await expectFailure(resolver.resolve(`silent.${own}`, 'A'), 'timeout')
      expectEqual(resolver.counts.asked, 3, 'questions')
    },
  },
  {
    name: 'the time for all of it ends a query, however many attempts are left',
    run: ({ make }, own) => expectFailure(make({ timeoutMs: SHORT_MS }).resolve(`silent.${own}`, 'A'), 'timeout'),
  },
  {
    name: 'a caller that no longer waits gets an answer at once, and the others go on',
    async run({ make }, own) {
      const resolver = make({ timeoutMs: 2 * SHORT_MS })
      const controller = new AbortController()
      const leaving = resolver.resolve(`silent.${own}`, 'A', { signal: controller.signal })
      const staying = resolver.resolve(`silent.${own}`, 'A', { signal: new AbortController().signal })
      controller.abort()
      await expectFailure(leaving, 'aborted')
      await expectFailure(staying, 'timeout')
      await expectFailure(resolver.resolve(`host.${own}`, 'A', { signal: controller.signal }), 'aborted')
    },
  },
  {
    name: 'a question that nobody waits for is dropped, and asked anew by the next caller',
    async run({ make }, own) {
      const resolver = make()
      const controller = new AbortController()
      const leaving = resolver.resolve(`host.${own}`, 'A', { signal: controller.signal })
      controller.abort()
      const coming = resolver.resolve(`host.${own}`, 'A')
      await expectFailure(leaving, 'aborted')
      await expectAnswer(coming, found(`host.${own}`, RECORDS, { ttlSeconds: 200 }))
    },
  },
  {
    name: 'an answer that makes no sense is a failure',
    async run({ make }, own) {
      for (const scene of ['garbage', 'cut-short', 'pointers']) {
        const resolver = make({ attempts: 1, attemptTimeoutMs: SHORT_MS })
        // Over UDP anybody may have sent it, so the resolver waits for a better one.
        await expectFailure(resolver.resolve(`${scene}.${own}`, 'A'), 'malformed', 'timeout')
      }
      const resolver = make({ attempts: 1 })
      await expectFailure(resolver.resolve(`tcp-garbage.${own}`, 'A'), 'malformed')
    },
  },
  {
    name: 'an answer that comes a byte at a time is complete',
    async run({ make }, own) {
      const record = { strings: [SLOW_TEXT], text: SLOW_TEXT }
      await expectAnswer(make().resolve(`slow.${own}`, 'TXT'), found<'TXT'>(`slow.${own}`, [record]))
    },
  },
  {
    name: 'an answer that never ends is a failure',
    run: ({ make }, own) => expectFailure(make({ attempts: 1 }).resolve(`endless.${own}`, 'A'), 'malformed'),
  },
  {
    name: 'a server that closes the connection, or keeps silent on it, is a failure',
    async run({ make }, own) {
      await expectFailure(make({ attempts: 1 }).resolve(`close.${own}`, 'A'), 'unreachable')
      const resolver = make({ attempts: 1, attemptTimeoutMs: SHORT_MS })
      await expectFailure(resolver.resolve(`silent-tcp.${own}`, 'A'), 'timeout')
    },
  },
  {
    name: NOBODY,
    async run({ make, nobody }, own) {
      await expectFailure(make({ upstreams: [nobody], attempts: 1 }).resolve(`host.${own}`, 'A'), 'unreachable')
    },
  },
  {
    name: 'an answer is kept for its time, with the rest of it, and then asked for again',
    async run({ make }, own) {
      let now = 0
      const resolver = make({ now: () => now })
      const answer = (ttlSeconds: number) => found(`host.${own}`, RECORDS, { ttlSeconds })
      await expectAnswer(resolver.resolve(`host.${own}`, 'A'), answer(200))
      now = 150_000
      await expectAnswer(resolver.resolve(`host.${own}`, 'A'), answer(50))
      expectEqual(resolver.counts.asked, 1, 'questions')
      now = 200_000
      await expectAnswer(resolver.resolve(`host.${own}`, 'A'), answer(200))
      expectEqual(resolver.counts.asked, 2, 'questions')
    },
  },
  {
    name: 'that there is nothing is kept for the time of RFC 2308, and a failure for a short time',
    async run({ make }, own) {
      for (const [scene, keptMs] of [
        ['nxdomain', 45_000],
        ['nodata', 30_000],
        ['servfail', 5_000],
      ] as const) {
        let now = 0
        const resolver = make({ now: () => now })
        for (now of [0, keptMs - 1, keptMs]) await resolver.resolve(`${scene}.${own}`, 'A')
        expectEqual([resolver.counts.asked, resolver.counts.cached], [2, 1], `asked and cached of ${scene}`)
      }
    },
  },
  {
    name: 'equal questions at the same time are asked once',
    async run({ make }, own) {
      const resolver = make()
      const names = [`host.${own}`, `HOST.${own}`, `host.${own}.`]
      const found3 = await Promise.all(names.map((name) => resolver.resolve(name, 'A')))
      for (const each of found3) await expectAnswer(Promise.resolve(each), found3[0] as (typeof found3)[number])
      expectEqual([resolver.counts.asked, resolver.counts.shared], [1, 2], 'asked and shared')
    },
  },
  {
    name: 'if too many questions wait, the client with the most of them loses its oldest',
    async run({ make }, own) {
      const resolver = make({ maxQueries: 2, attemptTimeoutMs: LONG_MS, timeoutMs: LONG_MS })
      const [greedy, modest] = ['192.0.2.77', '192.0.2.88'].map((address) => {
        return { client: { family: 'ipv4' as const, address, port: 1 } }
      })
      const first = resolver.resolve(`silent.1.${own}`, 'A', greedy)
      const controller = new AbortController()
      const second = resolver.resolve(`silent.2.${own}`, 'A', { ...greedy, signal: controller.signal })
      const records = found(`host.${own}`, RECORDS, { ttlSeconds: 200 })
      await expectAnswer(resolver.resolve(`host.${own}`, 'A', modest), records)
      await expectFailure(first, 'busy')
      controller.abort()
      await expectFailure(second, 'aborted')
      expectEqual(resolver.counts.dropped, 1, 'dropped')
    },
  },
]
