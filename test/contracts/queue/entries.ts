/** What is added, listed, held and removed. */
import { all, claimAll, entry, expectCode, expectEqual, namesOf, NOW, type QueueCheck, statesOf } from './check.ts'

const HOUR_MS = 3_600_000

export const entries: readonly QueueCheck[] = [
  {
    name: 'an entry is read back with everything that the sender asked for, and its recipients grouped by destination',
    async run({ make }) {
      await using queue = await make()
      const envelope = {
        reversePath: 'sender@example.org',
        body: 'BINARYMIME',
        smtpUtf8: true,
        size: 12_345,
        ret: 'HDRS',
        envelopeId: 'QQ314159',
        requireTls: true,
        isTlsReport: true,
        priority: -3,
        deliverBy: { deadline: NOW + HOUR_MS, mode: 'return', trace: true },
        holdUntil: NOW + 1_000,
      } as const
      const first = {
        address: 'one@a.example',
        destination: 'a.example',
        notify: ['SUCCESS', 'FAILURE'],
        originalRecipient: { addressType: 'utf-8', address: 'ö@example.org' },
      } as const
      const second = { address: 'two@b.example', destination: 'b.example' }
      const third = { address: '"a b"@a.example', destination: 'a.example' }
      await queue.add([entry('e1', [first, second, third], { ...envelope, messageId: 'm1' })])
      const fresh = { state: 'pending', attempts: 0, isDelayNotified: false }
      const delivery = { state: 'waiting', dueAt: NOW + 1_000, attempts: 0 }
      const expected = {
        id: 'e1',
        messageId: 'm1',
        queuedAt: NOW,
        envelope,
        deliveries: [
          {
            ...delivery,
            destination: 'a.example',
            recipients: [
              { address: first.address, notify: first.notify, originalRecipient: first.originalRecipient, ...fresh },
              { address: third.address, ...fresh },
            ],
          },
          { ...delivery, destination: 'b.example', recipients: [{ address: second.address, ...fresh }] },
        ],
      }
      expectEqual(await queue.get('e1'), expected, 'the entry')
      expectEqual((await queue.list()).entries, [expected], 'the list')
      expectEqual(await queue.get('e2'), undefined, 'an entry that is not there')
    },
  },
  {
    name: 'an entry whose id is there already is left as it is',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['one@a.example']), entry('e1', ['two@a.example'])])
      await queue.add([entry('e1', ['three@b.example']), entry('e2', ['four@b.example'])])
      const { entries } = await queue.list()
      const found = entries.map(({ id, deliveries }) => [id, deliveries.flatMap(({ recipients }) => recipients)[0]])
      expectEqual(
        found.map(([id, recipient]) => [id, (recipient as { address: string }).address]),
        [
          ['e1', 'one@a.example'],
          ['e2', 'four@b.example'],
        ],
        'entries',
      )
    },
  },
  {
    name: 'what is not valid is refused with the name of the field, and nothing of the call is added',
    async run({ make }) {
      await using queue = await make()
      const valid = entry('valid', ['one@a.example'])
      const wrong = [
        [entry('', ['a@b']), 'entries[1].id'],
        [entry('a b', ['a@b']), 'entries[1].id'],
        [entry('x'.repeat(129), ['a@b']), 'entries[1].id'],
        [entry('e', []), 'entries[1].recipients'],
        [entry('e', [{ address: 'a@b', destination: '' }]), 'entries[1].recipients[0].destination'],
        [entry('e', [{ address: 'a@b', destination: 'a\nb' }]), 'entries[1].recipients[0].destination'],
        [entry('e', [{ address: 'x'.repeat(1_001), destination: 'b' }]), 'entries[1].recipients[0].address'],
        [entry('e', ['a@b'], { queuedAt: Number.NaN }), 'entries[1].queuedAt'],
        [entry('e', ['a@b'], { priority: 10 }), 'entries[1].envelope.priority'],
        [entry('e', ['a@b'], { holdUntil: -1 }), 'entries[1].envelope.holdUntil'],
        [entry('e', ['a@b'], { body: '9BIT' as '7BIT' }), 'entries[1].envelope.body'],
      ] as const
      for (const [each, field] of wrong) {
        const message = await expectCode('invalid', queue.add([valid, each]))
        if (!message.startsWith(`${field}: `)) throw new Error(`${message} does not name ${field}`)
      }
      const many = Array.from({ length: 10_001 }, (_, at) => `${at}@a.example`)
      await expectCode('invalid', queue.add([entry('e', many)]))
      await expectCode('invalid', queue.add(Array.from({ length: 1_001 }, (_, at) => entry(`e${at}`, ['a@b']))))
      expectEqual((await queue.list()).entries, [], 'entries')
    },
  },
  {
    name: 'a list has pages of any size, in the order of adding, and can be filtered',
    async run({ make }) {
      await using queue = await make()
      const ids = Array.from({ length: 7 }, (_, at) => `e${at}`)
      for (const [at, id] of ids.entries())
        await queue.add([entry(id, [`x@${at % 2 === 0 ? 'even' : 'odd'}.example`], { messageId: `m${at % 3}` })])
      for (const limit of [1, 2, 3, 7, 8]) {
        const found: string[] = []
        for (let cursor: string | undefined = '0'; cursor !== undefined;) {
          const page: Awaited<ReturnType<typeof queue.list>> = await queue.list({ limit, cursor })
          if (page.entries.length > limit) throw new Error(`${page.entries.length} entries on a page`)
          found.push(...page.entries.map(({ id }) => id))
          cursor = page.cursor
        }
        expectEqual(found, ids, `pages of ${limit}`)
      }
      await queue.hold(['e1', 'e2'])
      const idsOf = async (options: Parameters<typeof queue.list>[0]): Promise<string[]> =>
        (await queue.list(options)).entries.map(({ id }) => id)
      expectEqual(await idsOf({ destination: 'odd.example' }), ['e1', 'e3', 'e5'], 'by destination')
      expectEqual(await idsOf({ messageId: 'm1' }), ['e1', 'e4'], 'by message')
      expectEqual(await idsOf({ state: 'held' }), ['e1', 'e2'], 'by state')
      expectEqual(await idsOf({ state: 'held', destination: 'odd.example' }), ['e1'], 'by state and destination')
      expectEqual(await idsOf({ state: 'finished' }), [], 'finished')
      await expectCode('invalid', queue.list({ cursor: 'x' }))
      await expectCode('invalid', queue.list({ limit: 0 }))
    },
  },
  {
    name: 'what is held is not due until it is released',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example', 'x@b.example']), entry('e2', ['x@a.example'])])
      expectEqual(await queue.hold(['e1', 'none', 'e1']), 1, 'held')
      expectEqual(namesOf(await claimAll(queue)), ['e2 a.example'], 'claims')
      expectEqual(await queue.nextDueAt(), undefined, 'the next time')
      expectEqual(await queue.unhold(['e1']), 1, 'released')
      expectEqual(namesOf(await claimAll(queue)).toSorted(), ['e1 a.example', 'e1 b.example'], 'claims')
    },
  },
  {
    name: 'an attempt on its way ends as usual if the entry is held meanwhile, and what is left stays held',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example', 'y@a.example'])])
      const [claim] = await claimAll(queue)
      if (claim === undefined) throw new Error('no claim')
      await queue.hold(['e1'])
      await queue.settle([{ claim, results: [{ index: 0, state: 'relayed' }], dueAt: NOW + 5 }])
      expectEqual(await statesOf(queue, 'e1'), ['held'], 'states')
      expectEqual(await claimAll(queue, NOW + 10), [], 'claims')
      await queue.unhold(['e1'])
      const [again] = await claimAll(queue, NOW + 10)
      expectEqual(
        again?.recipients.map(({ index }) => index),
        [1],
        'recipients',
      )
    },
  },
  {
    name: 'a retry makes due what waits, but not before the time that the sender set',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example']), entry('e2', ['x@a.example'], { holdUntil: NOW + 500 })])
      const [claim] = await claimAll(queue)
      if (claim === undefined) throw new Error('no claim')
      await queue.settle([all(claim, { state: 'pending' }, { dueAt: NOW + HOUR_MS })])
      expectEqual(await queue.retry(['e1', 'e2', 'none'], NOW + 100), 2, 'entries')
      expectEqual(await queue.nextDueAt(), NOW + 100, 'the next time')
      expectEqual(namesOf(await claimAll(queue, NOW + 100)), ['e1 a.example'], 'claims')
      expectEqual(namesOf(await claimAll(queue, NOW + 500)), ['e2 a.example'], 'claims later')
    },
  },
  {
    name: 'what is removed is gone, also for an attempt on its way, and its report is not added',
    async run({ make }) {
      await using queue = await make()
      await queue.add([entry('e1', ['x@a.example']), entry('e2', ['x@a.example'])])
      const claims = await claimAll(queue)
      expectEqual(await queue.remove(['e1', 'none']), 1, 'removed')
      const settled = await queue.settle(
        claims.map((claim) => all(claim, { state: 'failed' }, { add: [entry(`report-${claim.id}`, ['s@c.example'])] })),
      )
      const statuses = settled.map(({ status, isFinished }) => [status, isFinished])
      expectEqual(
        statuses,
        [
          ['gone', false],
          ['settled', true],
        ],
        'answers',
      )
      expectEqual(
        (await queue.list()).entries.map(({ id }) => id),
        ['e2', 'report-e2'],
        'entries',
      )
      expectEqual(await queue.remove(['e2', 'report-e2']), 2, 'removed')
      expectEqual((await queue.list()).entries, [], 'entries')
    },
  },
  {
    name: 'statistics count deliveries by state and destination, and name the oldest entry',
    async run({ make }) {
      await using queue = await make()
      const none = { waiting: 0, due: 0, held: 0, finished: 0 }
      const empty = { entries: 0, deliveries: none, leased: 0, destinations: [], otherDestinations: 0 }
      expectEqual(await queue.stats(), empty, 'nothing')
      await queue.add([
        entry('e1', ['x@a.example', 'x@b.example'], { queuedAt: NOW - 9 }),
        entry('e2', ['x@a.example'], { queuedAt: NOW - 8, priority: 1 }),
        entry('e3', ['x@c.example'], { queuedAt: NOW - 7, holdUntil: NOW + 1 }),
        entry('e4', ['x@a.example', 'x@c.example'], { queuedAt: NOW - 6 }),
      ])
      await queue.hold(['e4'])
      const [claim] = await queue.claim({ now: NOW, max: 1, leaseMs: 1 })
      if (claim?.id !== 'e2') throw new Error('another claim')
      await queue.settle([all(claim, { state: 'delivered' })])
      await claimAll(queue)
      const expected = {
        entries: 4,
        deliveries: { waiting: 1, due: 2, held: 2, finished: 1 },
        leased: 2,
        oldestQueuedAt: NOW - 9,
      }
      const { destinations, otherDestinations, ...counts } = await queue.stats({ maxDestinations: 2 })
      expectEqual(counts, expected, 'counts')
      expectEqual(
        [destinations, otherDestinations],
        [
          [
            { destination: 'a.example', deliveries: 2 },
            { destination: 'c.example', deliveries: 2 },
          ],
          1,
        ],
        'destinations',
      )
    },
  },
  {
    name: 'a queue that is full refuses to add, and goes on with what it has',
    isBounded: true,
    async run({ make }) {
      await using queue = await make({ isSmall: true })
      let count = 0
      const filling = (async () => {
        for (; count < 100_000; count += 100)
          await queue.add(Array.from({ length: 100 }, (_, at) => entry(`e${count + at}`, ['x@a.example'])))
      })()
      await expectCode('full', filling)
      const claims = await claimAll(queue)
      if (claims.length === 0) throw new Error('there is nothing to claim')
      const settled = await queue.settle(claims.slice(0, 50).map((claim) => all(claim, { state: 'relayed' })))
      if (!settled.every(({ isFinished }) => isFinished)) throw new Error('not settled')
      await queue.remove(claims.slice(0, 50).map(({ id }) => id))
      await queue.add([entry('last', ['x@a.example'])])
    },
  },
  {
    name: 'a closed queue refuses each call',
    async run({ make }) {
      const queue = await make()
      const adding = queue.add([entry('e1', ['x@a.example'])])
      await queue.close()
      await adding
      await queue.close()
      await expectCode('closed', queue.add([entry('e2', ['x@a.example'])]))
      await expectCode('closed', claimAll(queue))
      await expectCode('closed', queue.list())
      await expectCode('closed', queue.remove(['e1']))
      await expectCode('closed', queue.nextDueAt())
    },
  },
]
