/** Who gets what to deliver, and what becomes of the results. */
import type { Claim, Queue } from '@postern/relay'
import {
  all,
  claimAll,
  entry,
  expectCode,
  expectEqual,
  LEASE_MS,
  namesOf,
  NOW,
  type QueueCheck,
  statesOf,
} from './check.ts'

const REPLY = { at: NOW, code: 451, enhancedCode: '4.7.1', text: 'later', host: 'mx.a.example' }

/** Adds entries `PREFIX0`, `PREFIX1` … to one destination. */
async function addMany(queue: Queue, prefix: string, count: number, destination: string, first = NOW): Promise<void> {
  const options = (at: number): { queuedAt: number } => ({ queuedAt: first + at })
  const added = Array.from({ length: count }, (_, at) => entry(`${prefix}${at}`, [`x@${destination}`], options(at)))
  await queue.add(added)
}

async function firstClaim(queue: Queue, now: number = NOW): Promise<Claim> {
  const [claim] = await queue.claim({ now, max: 1, leaseMs: LEASE_MS })
  if (claim === undefined) throw new Error('there is nothing to claim')
  return claim
}

export const claims: readonly QueueCheck[] = [
  {
    name: 'a claim has all that a delivery needs',
    async run({ make }) {
      await using queue = await make()
      const options = { priority: 2, envelopeId: 'x', messageId: 'm1' }
      await queue.add([entry('e1', ['one@a.example', 'two@a.example'], options)])
      const { lease, ...claim } = await firstClaim(queue)
      if (lease === '') throw new Error('the lease has no name')
      const fresh = { state: 'pending', attempts: 0, isDelayNotified: false }
      const expected = {
        id: 'e1',
        destination: 'a.example',
        leaseEndsAt: NOW + LEASE_MS,
        messageId: 'm1',
        queuedAt: NOW,
        attempts: 0,
        envelope: {
          reversePath: 'sender@example.org',
          body: '8BITMIME',
          smtpUtf8: false,
          priority: 2,
          envelopeId: 'x',
        },
        recipients: [
          { index: 0, address: 'one@a.example', ...fresh },
          { index: 1, address: 'two@a.example', ...fresh },
        ],
      }
      expectEqual(claim, expected, 'the claim')
    },
  },
  {
    name: 'a delivery is claimed once until its lease ends, and then again',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example'])])
      const first = await firstClaim(queue)
      expectEqual(await claimAll(queue, first.leaseEndsAt - 1), [], 'claims within the lease')
      const again = await firstClaim(queue, first.leaseEndsAt)
      expectEqual([again.id, again.lease === first.lease], ['e1', false], 'the claim after it')
    },
  },
  {
    name: 'a renewed lease goes on, and a lease that has ended is not renewed',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example']), entry('e2', ['x@b.example'])])
      const [one, two] = await claimAll(queue)
      if (one === undefined || two === undefined) throw new Error('too few claims')
      expectEqual(await queue.renew([one], NOW + 3 * LEASE_MS), [one], 'renewed')
      expectEqual(namesOf(await claimAll(queue, NOW + 2 * LEASE_MS)), ['e2 b.example'], 'claims')
      expectEqual(await queue.renew([one, two], NOW + 4 * LEASE_MS), [one], 'renewed')
    },
  },
  {
    name: 'what is released is due at once, without an attempt',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example'])])
      await queue.release([await firstClaim(queue)])
      expectEqual((await firstClaim(queue)).attempts, 0, 'attempts')
    },
  },
  {
    name: 'a higher priority comes first, and of one destination what has been due for longest',
    async run({ make }) {
      await using queue = await make()
      await queue.add([
        entry('young', ['x@a.example'], { queuedAt: NOW }),
        entry('low', ['x@a.example'], { queuedAt: NOW - 9, priority: -9 }),
        entry('old', ['x@a.example'], { queuedAt: NOW - 5 }),
        entry('high', ['x@a.example'], { queuedAt: NOW, priority: 9 }),
      ])
      const ids = (await claimAll(queue)).map(({ id }) => id)
      expectEqual(ids, ['high', 'old', 'young', 'low'], 'the order')
    },
  },
  {
    name: 'destinations share the places of a claim, and get what others leave free',
    async run({ make }) {
      await using queue = await make()
      await addMany(queue, 'a', 50, 'a.example', NOW - 1_000)
      await addMany(queue, 'b', 50, 'b.example')
      await addMany(queue, 'c', 2, 'c.example')
      const claimed = await queue.claim({ now: NOW + 1_000, max: 12, leaseMs: LEASE_MS })
      const counts = ['a', 'b', 'c'].map((name) => claimed.filter(({ id }) => id.startsWith(name)).length)
      expectEqual([counts[2], (counts[0] ?? 0) + (counts[1] ?? 0)], [2, 10], 'places of c, and of the others')
      if (counts.some((count) => count > 6)) throw new Error(`the places are ${counts.join(', ')}`)
    },
  },
  {
    name: 'a destination with many deliveries takes no more places than it may, over all claims',
    async run({ make }) {
      await using queue = await make()
      await addMany(queue, 'dead', 200, 'a-dead.example', NOW - 1_000)
      await addMany(queue, 'fine', 10, 'fine.example')
      const options = { now: NOW + 1_000, max: 10, leaseMs: LEASE_MS, maxPerDestination: 4 }
      const claimed: Claim[] = []
      for (let round = 0; round < 5; round++) claimed.push(...(await queue.claim(options)))
      const dead = claimed.filter(({ id }) => id.startsWith('dead'))
      expectEqual([dead.length, claimed.length], [4, 8], 'places of the dead destination, and of both')
      await queue.settle([all(dead[0] as Claim, { state: 'pending', reply: REPLY }, { dueAt: NOW + 9_000 })])
      expectEqual(namesOf(await queue.claim(options)), ['dead4 a-dead.example'], 'the place that is free again')
    },
  },
  {
    name: 'destinations take turns, also if there are more of them than places',
    async run({ make }) {
      await using queue = await make()
      const names = Array.from({ length: 9 }, (_, at) => `d${at}.example`)
      for (const [at, name] of names.entries()) await addMany(queue, `e${at}-`, 3, name)
      const seen: string[] = []
      for (let round = 0; round < 3; round++) {
        const claimed = await queue.claim({ now: NOW + 10, max: 3, leaseMs: LEASE_MS })
        seen.push(...claimed.map(({ destination }) => destination))
      }
      expectEqual(seen.toSorted(), names, 'destinations')
    },
  },
  {
    name: 'a function says how many places a destination has, and 0 makes it wait',
    async run({ make }) {
      await using queue = await make()
      await addMany(queue, 'a', 5, 'a.example')
      await addMany(queue, 'b', 5, 'b.example')
      const places: Record<string, number> = { 'a.example': 0, 'b.example': 2 }
      const maxPerDestination = (destination: string): number => places[destination] ?? Number.NaN
      const options = { now: NOW + 10, max: 10, leaseMs: LEASE_MS, maxPerDestination }
      expectEqual(namesOf(await queue.claim(options)), ['b0 b.example', 'b1 b.example'], 'claims')
    },
  },
  {
    name: 'the next time is that of the first delivery that is neither leased nor finished',
    async run({ make }) {
      await using queue = await make()
      expectEqual(await queue.nextDueAt(), undefined, 'an empty queue')
      await queue.add([entry('e1', ['x@a.example']), entry('e2', ['x@a.example'], { holdUntil: NOW + 700 })])
      expectEqual(await queue.nextDueAt(), NOW, 'due now')
      const claim = await firstClaim(queue)
      expectEqual(await queue.nextDueAt(), NOW + 700, 'held')
      await queue.settle([all(claim, { state: 'pending', reply: REPLY }, { dueAt: NOW + 300 })])
      expectEqual(await queue.nextDueAt(), NOW + 300, 'retried')
    },
  },
  {
    name: 'each recipient has its own result, and only those that are left are claimed again',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['a@a.example', 'b@a.example', 'c@a.example', 'd@a.example'])])
      const claim = await firstClaim(queue)
      const long = { ...REPLY, text: 'x'.repeat(5_000) }
      const settled = await queue.settle([
        {
          claim,
          results: [
            { index: 0, state: 'delivered', reply: { ...REPLY, code: 250 } },
            { index: 1, state: 'failed', reply: { ...REPLY, code: 550 } },
            { index: 2, state: 'pending', reply: long, isDelayNotified: true },
          ],
          dueAt: NOW + 300,
        },
      ])
      expectEqual(settled, [{ status: 'settled', isFinished: false }], 'the answer')
      expectEqual(await claimAll(queue, NOW + 299), [], 'claims before the time')
      const again = await firstClaim(queue, NOW + 300)
      expectEqual(
        again.recipients.map(({ index, attempts, isDelayNotified, lastReply }) => {
          return [index, attempts, isDelayNotified, lastReply?.text.length]
        }),
        [
          [2, 1, true, 1_000],
          [3, 0, false, undefined],
        ],
        'recipients',
      )
      expectEqual(again.attempts, 1, 'attempts of the delivery')
      expectEqual(await queue.settle([all(again, { state: 'relayed' })]), [{ status: 'settled', isFinished: true }], '')
      const recipients = (await queue.get('e1'))?.deliveries[0]?.recipients ?? []
      expectEqual(
        recipients.map(({ state, attempts, lastReply }) => [state, attempts, lastReply?.code]),
        [
          ['delivered', 1, 250],
          ['failed', 1, 550],
          ['relayed', 2, 451],
          ['relayed', 1, undefined],
        ],
        'recipients',
      )
      expectEqual(await statesOf(queue, 'e1'), ['finished'], 'states')
      expectEqual(await claimAll(queue, NOW + 9_000_000), [], 'claims of a finished entry')
    },
  },
  {
    name: 'an entry is finished with its last destination, and stays until it is removed',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example', 'x@b.example'])])
      const [one, two] = await claimAll(queue)
      if (one === undefined || two === undefined) throw new Error('too few claims')
      expectEqual(await queue.settle([all(one, { state: 'relayed' })]), [{ status: 'settled', isFinished: false }], '')
      expectEqual((await queue.list({ state: 'finished' })).entries, [], 'finished entries')
      expectEqual(await queue.settle([all(two, { state: 'failed' })]), [{ status: 'settled', isFinished: true }], '')
      expectEqual(
        (await queue.list({ state: 'finished' })).entries.map(({ id }) => id),
        ['e1'],
        'finished entries',
      )
    },
  },
  {
    name: 'an entry that is to go with its last result is gone, or the answer says that the caller has to remove it',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example', 'x@b.example'])])
      const [one, two] = await claimAll(queue)
      if (one === undefined || two === undefined) throw new Error('too few claims')
      const removeIfFinished = true
      const added = { add: [entry('report', ['s@c.example'])], removeIfFinished } as const
      const first = await queue.settle([all(one, { state: 'relayed' }, { removeIfFinished })])
      expectEqual(first, [{ status: 'settled', isFinished: false }], 'the first answer')
      const [last] = await queue.settle([all(two, { state: 'failed' }, added)])
      expectEqual([last?.status, last?.isFinished], ['settled', true], 'the last answer')
      const left = (await queue.list()).entries.map(({ id }) => id)
      expectEqual(left, last?.isRemoved === true ? ['report'] : ['e1', 'report'], 'entries')
    },
  },
  {
    name: 'a result that comes after the end of the lease counts if it is final, and is no new attempt otherwise',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['a@a.example', 'b@a.example'])])
      const late = await firstClaim(queue)
      const current = await firstClaim(queue, late.leaseEndsAt)
      const results = [
        { index: 0, state: 'relayed' },
        { index: 1, state: 'pending', reply: REPLY },
      ] as const
      const settlement = { claim: late, results, dueAt: NOW + 1, add: [entry('report', ['s@c.example'])] }
      expectEqual(await queue.settle([settlement]), [{ status: 'late', isFinished: false }], 'the late answer')
      const states = (await queue.get('e1'))?.deliveries[0]?.recipients.map(({ state, attempts }) => [state, attempts])
      expectEqual(
        states,
        [
          ['relayed', 1],
          ['pending', 0],
        ],
        'recipients',
      )
      expectEqual(
        (await claimAll(queue, late.leaseEndsAt)).map(({ id }) => id),
        ['report'],
        'claims meanwhile',
      )
      const answer = await queue.settle([all(current, { state: 'failed' })])
      expectEqual(answer, [{ status: 'settled', isFinished: true }], 'the answer')
      const [first] = (await queue.get('e1'))?.deliveries[0]?.recipients ?? []
      expectEqual(first?.state, 'relayed', 'what the first attempt has settled')
      const repeated = { ...settlement, add: [entry('second-report', ['s@c.example'])] }
      expectEqual(await queue.settle([repeated]), [{ status: 'late', isFinished: true }], 'the repeated answer')
      expectEqual(await queue.get('second-report'), undefined, 'a report of nothing')
    },
  },
  {
    name: 'a settlement that is not valid changes nothing, and neither does one beside it in the same call',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example']), entry('e2', ['x@b.example'])])
      const [one, two] = await claimAll(queue)
      if (one === undefined || two === undefined) throw new Error('too few claims')
      const fine = all(one, { state: 'relayed' })
      const wrong = [
        { claim: two, results: [{ index: 1, state: 'relayed' as const }] },
        all(two, { state: 'pending' }),
        all(two, { state: 'pending' }, { dueAt: 0.5 }),
        all(two, { state: 'failed' }, { add: [entry('', ['x@a.example'])] }),
        { claim: two, results: [0, 0].map((index) => ({ index, state: 'relayed' as const })) },
      ]
      const other = entry('e3', ['x@a.example'])
      for (const each of wrong) {
        // A valid call at the same time is not harmed.
        const adding = queue.add([other])
        await expectCode('invalid', queue.settle([fine, each]))
        await adding
      }
      expectEqual(await statesOf(queue, 'e1'), ['due'], 'states')
      expectEqual(await statesOf(queue, 'e3'), ['due'], 'states of the other')
      expectEqual((await queue.settle([fine, all(two, { state: 'relayed' })])).length, 2, 'answers')
    },
  },
  {
    name: 'a claim of another delivery, or of none, is gone',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example'])])
      const claim = await firstClaim(queue)
      for (const lease of ['', 'x', '9.9', '1e400.1', '-1.1'])
        expectEqual(
          await queue.settle([all({ ...claim, lease }, { state: 'relayed' })]),
          [{ status: 'gone', isFinished: false }],
          lease,
        )
      const other = { ...claim, id: 'e2' }
      expectEqual(await queue.settle([all(other, { state: 'relayed' })]), [{ status: 'gone', isFinished: false }], 'id')
    },
  },
  {
    name: 'many calls at the same time are all done',
    async run({ make }) {
      await using queue = await make()
      const ids = Array.from({ length: 500 }, (_, at) => `e${at}`)
      await Promise.all(ids.map((id, at) => queue.add([entry(id, [`x@d${at % 7}.example`])])))
      const claiming = Array.from({ length: 10 }, () => queue.claim({ now: NOW, max: 50, leaseMs: LEASE_MS }))
      const claimed = (await Promise.all(claiming)).flat()
      expectEqual([claimed.length, new Set(claimed.map(({ id }) => id)).size], [500, 500], 'claims')
      const settled = await Promise.all(claimed.map((claim) => queue.settle([all(claim, { state: 'relayed' })])))
      if (!settled.flat().every(({ isFinished }) => isFinished)) throw new Error('an entry is not finished')
      await Promise.all(ids.map((id) => queue.remove([id])))
      expectEqual((await queue.stats()).entries, 0, 'entries')
    },
  },
  {
    name: 'a queue that is opened again has what it had, and no lease',
    isDurable: true,
    async run({ make, reopen }) {
      let queue = await make()
      await queue.add([
        entry('done', ['x@a.example']),
        entry('half', ['x@b.example', 'y@b.example']),
        entry('held', ['x@c.example']),
        entry('leased', ['x@d.example']),
        entry('later', ['x@e.example'], { holdUntil: NOW + 50 }),
      ])
      await queue.hold(['held'])
      const [done, half] = await claimAll(queue)
      if (done === undefined || half === undefined || reopen === undefined) throw new Error('too few claims')
      await queue.settle([
        all(done, { state: 'relayed' }),
        { claim: half, results: [{ index: 0, state: 'failed', reply: REPLY }], dueAt: NOW + 40 },
      ])
      const before = await queue.list()
      queue = await reopen(queue)
      expectEqual(await queue.list(), before, 'the list')
      expectEqual(namesOf(await claimAll(queue)), ['leased d.example'], 'claims')
      const ids = (await claimAll(queue, NOW + 50)).map(({ id }) => id)
      expectEqual(ids.toSorted(), ['half', 'later'], 'claims later')
      await queue.close()
    },
  },
]
