/** The contract of retention: which messages a store keeps under limits on age, count and bytes, with any backend. */
import { type BlobStore, mailStore, type MailStore, type Retention } from '@postern/storage'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectCode, inParallel, SLOW } from './blob-contract.ts'
import { keysIn, put } from './blobs.ts'
import { sample } from '../../../test/kit/sample.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { allPages, bound, idsOf } from '../../../test/contracts/mail/opened.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

export interface RetentionOptions {
  /** How many stores are tried with random mail: few if each call goes to another process. */
  readonly runs: number
  /** How many of the tests a run makes by default. The seed chooses them. All if left out. */
  readonly tests?: number
}

interface NamedTest {
  readonly title: string
  run(): Promise<void>
}

interface Mail {
  readonly id: string
  readonly size: number
}

export function retentionContract(
  name: string,
  make: () => BlobStore | Promise<BlobStore>,
  { runs, tests = Infinity }: RetentionOptions,
): void {
  const all: readonly NamedTest[] = [
    {
      title: 'the newest messages that fit every limit are kept, and no other key of the store is touched',
      async run() {
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.record({ ageMs: age, length: fc.integer({ min: 0, max: 3000 }), state }), { maxLength: 12 }),
            limits,
            async (plan, retention) => {
              const blobs = await make()
              const mail = mailStore(blobs)
              const now = Date.now()
              const all: Mail[] = []
              const alone: string[] = []
              for (const [index, { ageMs, length, state }] of plan.entries()) {
                const id = idAt(now - ageMs, index)
                if (state === 'alone') alone.push(await putAlone(blobs, id))
                else all.push({ id, size: (await saveText(mail, id, 'x'.repeat(length))).size })
                if (state === 'bounced') await mail.bounce(id, { reason: 'x' })
              }
              const fit = newestThatFit(all, retention, now)
              const gone = all.filter(({ id }) => !fit.includes(id))
              expect(await mail.expire(retention)).toEqual({
                messages: gone.length,
                bytes: gone.reduce((sum, { size }) => sum + size, 0),
              })
              expect(await idsIn(mail)).toEqual(fit)
              for (const id of fit) await (await mail.load(id)).verify()
              const keys = await keysIn(blobs)
              expect(keys).toHaveLength(2 * fit.length + alone.length)
              expect(keys).toEqual(expect.arrayContaining(alone))
              expect(await mail.expire(retention)).toEqual({ messages: 0, bytes: 0 })
            },
          ),
          { numRuns: runs },
        )
      },
    },

    {
      title: 'concurrent expiries, while mail arrives and bounces, remove no message that a single one would keep',
      async run() {
        const blobs = await make()
        const mail = mailStore(blobs)
        const retention = { maxCount: 8, maxBytes: 5_000 }
        const start = Date.now() - HOUR_MS
        const all: Mail[] = []
        const save = async (index: number): Promise<void> => {
          const id = idAt(start + index * 1000, index)
          all.push({ id, size: (await saveText(mail, id, 'x'.repeat((index * 37) % 1000))).size })
          if (index % 5 === 0) await mail.bounce(id, { reason: 'x' }).catch(() => undefined)
        }
        await inParallel([...Array(16).keys()], save, 8)
        const arriving = inParallel(
          [...Array(16).keys()].map((index) => index + 16),
          save,
          4,
        )
        const isOver = new AbortController()
        const others = Promise.all(
          [1, 2].map(async () => {
            while (!isOver.signal.aborted) {
              await mailStore(bound(blobs)).expire(retention)
              await new Promise((resolve) => setTimeout(resolve, 5))
            }
          }),
        )
        await arriving.finally(() => isOver.abort())
        await others
        const fit = newestThatFit(all, retention, Date.now())
        // A message that is among the newest at the end was among them all the time.
        expect(await idsIn(mail)).toEqual(expect.arrayContaining(fit))
        await mail.expire(retention)
        expect(await idsIn(mail)).toEqual(fit)
        for (const id of fit) await (await mail.load(id)).verify()
        expect(await keysIn(blobs)).toHaveLength(2 * fit.length)
      },
    },

    {
      title: 'a reader of a message that is being removed gets it whole or gets `not-found`',
      async run() {
        const mail = mailStore(await make())
        const [old, young] = [idAt(Date.now() - HOUR_MS), idAt(Date.now())]
        for (const id of [old, young]) await saveText(mail, id)
        const held = await mail.load(old)
        await mail.expire({ maxCount: 1 })
        await expectCode('not-found', () => held.bytes())
        await expectCode('not-found', () => mail.load(old))
        await expectCode('not-found', () => mail.bounce(old, { reason: 'x' }))
        await (await mail.load(young)).verify()
      },
    },

    {
      title: 'an aborted expiry removes no more messages',
      async run() {
        const mail = mailStore(await make())
        const ids = [3, 2, 1].map((hours) => idAt(Date.now() - hours * HOUR_MS))
        for (const id of ids) await saveText(mail, id)
        const none = { messages: 0, bytes: 0 }
        for (const retention of [{ maxAgeMs: 1 }, { maxCount: 1 }]) {
          expect(await mail.expire(retention, { signal: AbortSignal.abort() })).toEqual(none)
        }
        expect(await idsIn(mail)).toEqual(ids)
      },
    },
  ]
  describe(`${name}: retention`, () => {
    for (const { title, run } of sample(all, tests)) test(title, SLOW, run)
  })
}

const age = fc.oneof(
  fc.integer({ min: 0, max: 2 * MINUTE_MS }),
  fc.integer({ min: 0, max: 60 * 24 * HOUR_MS }),
  fc.constantFrom(0, HOUR_MS, 3 * HOUR_MS),
)
const state = fc.constantFrom('kept', 'kept', 'bounced', 'alone')
const limits = fc.record(
  {
    // Differs from the ages above by more than the duration of a test.
    maxAgeMs: fc.oneof(
      fc.constant(Infinity),
      fc.integer({ min: 1, max: 100 }).map((n) => n * HOUR_MS + HOUR_MS / 2),
    ),
    maxCount: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 12 })),
    maxBytes: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 20_000 })),
  },
  { requiredKeys: [] },
)

/** A simple model of the rules. */
export function newestThatFit(all: readonly Mail[], retention: Retention, now: number): string[] {
  const { maxAgeMs = Infinity, maxCount = Infinity, maxBytes = Infinity } = retention
  const sorted = all.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const fits = (kept: readonly Mail[]): boolean =>
    kept.length <= maxCount && (kept.length === 1 || kept.reduce((sum, { size }) => sum + size, 0) <= maxBytes)
  while (sorted.length > 0 && (!fits(sorted) || timeIn(sorted[0]?.id ?? '') < now - maxAgeMs)) sorted.shift()
  return sorted.map(({ id }) => id)
}

function timeIn(id: string): number {
  return Array.from(id.slice(0, 10)).reduce(
    (time, digit) => time * 32 + '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.indexOf(digit),
    0,
  )
}

/** Returns every message, bounced or not, oldest first. */
async function idsIn(mail: MailStore): Promise<string[]> {
  const pages = [...(await allPages(mail, 1000)), ...(await allPages(mail, 1000, true))]
  for (const page of pages) expect(page.corrupt).toEqual([])
  return [...new Set(pages.flatMap(idsOf))].toSorted()
}

/** Returns bytes whose envelope may still be written. */
async function putAlone(blobs: BlobStore, id: string): Promise<string> {
  const time = new Date(timeIn(id)).toISOString()
  const key = `${time.slice(0, 10).replaceAll('-', '/')}/${time.slice(11, 16).replace(':', '')}/${id}.eml`
  await put(blobs, key)
  return key
}
