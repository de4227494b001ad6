import { isReply, MessageError, Refusal, type Session } from '@postern/engine'
import {
  type BlobStore,
  keep,
  type MailRecord,
  mailStore,
  type MailStore,
  refuseUnknown,
  StorageError,
} from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { pattern } from './blob-contract.ts'
import { keysIn } from './blobs.ts'
import { ABORTED, bytesOf, hookMessageOf, idAt, SESSION } from '../../../test/contracts/mail/messages.ts'
import { bound } from '../../../test/contracts/mail/opened.ts'

const session = SESSION as Session

test.each(['blob store', 'mail store'])(
  'keep saves the message, calls kept, and answers 250 with the id (%s)',
  async (kind) => {
    const blobs = memory()
    const told: [MailRecord, Session][] = []
    const store = kind === 'blob store' ? blobs : mailStore(blobs)
    const hook = keep(store, { kept: (record, session) => told.push([record, session]) })
    const id = idAt(Date.now())
    const answer = await hook(hookMessageOf(id, [bytesOf('x')]), session)
    expect(isReply(answer)).toBe(true)
    expect(answer.wire).toBe(`250 2.0.0 OK queued as ${id}\r\n`)
    const { record } = await mailStore(blobs).load(id)
    expect(told).toEqual([[record, session]])
    expect(told[0]?.[1]).toBe(session)
  },
)

test.each([
  [
    'throws',
    () => {
      throw new Error('broken pipe')
    },
    /^Error: broken pipe$/,
  ],
  ['rejects', () => Promise.reject(new Error('broken pipe')), /^Error: broken pipe$/],
  ['never answers', () => new Promise(() => {}), /^HookTimeoutError: /],
] as [string, () => unknown, RegExp][])('`kept` that %s does not refuse a kept message', async (_, kept, failure) => {
  const blobs = memory()
  const told: [string, string, Session][] = []
  const hook = keep(blobs, {
    kept,
    keptTimeoutMs: 20,
    keptFailed(error, record, session) {
      told.push([String(error), record.id, session])
      throw new Error('nobody hears of this')
    },
  })
  const id = idAt(Date.now())
  expect((await hook(hookMessageOf(id, []), session)).code).toBe(250)
  expect(told).toEqual([[expect.stringMatching(failure), id, session]])
  expect(await keysIn(blobs)).toHaveLength(2)
})

test('the reply waits for `kept`', async () => {
  const order: string[] = []
  const hook = keep(memory(), {
    async kept() {
      await new Promise((resolve) => setTimeout(resolve, 5))
      order.push('kept')
    },
  })
  await hook(hookMessageOf(idAt(Date.now()), []), session).then(() => order.push('replied'))
  expect(order).toEqual(['kept', 'replied'])
})

test('the reply is 452 4.3.1 while there is no room, and 250 once there is some', async () => {
  const blobs = memory({ maxBytes: 10_000 })
  const hook = keep(blobs)
  const first = idAt(Date.now())
  await hook(hookMessageOf(first, [pattern(6000)]), session)
  const refusal = await refusalOf(hook(hookMessageOf(idAt(Date.now()), [pattern(3000), pattern(3000)]), session))
  expect(refusal.reply.wire).toMatch(/^452 4\.3\.1 /)
  expect(refusal.cause).toMatchObject({ code: 'no-space' })
  expect(await keysIn(blobs)).toHaveLength(2)
  await mailStore(blobs).delete(first)
  expect((await hook(hookMessageOf(idAt(Date.now()), [pattern(6000)]), session)).code).toBe(250)
})

test.each(['denied', 'lost', 'unavailable', 'corrupt', 'exists', 'invalid-key'] as const)(
  'the client gets 451 4.3.0 for %s',
  async (code) => {
    const cause = new StorageError(code, 'secret path /srv/mail')
    const blobs: BlobStore = {
      ...bound(memory()),
      write() {
        throw cause
      },
    }
    const refusal = await refusalOf(keep(blobs)(hookMessageOf(idAt(Date.now()), []), session))
    expect(refusal.reply.wire).toMatch(/^451 4\.3\.0 /)
    expect(refusal.reply.wire).not.toContain('srv')
    expect(refusal.cause).toBe(cause)
  },
)

test('an error from reading the message passes through, and nothing is kept', async () => {
  const blobs = memory()
  const hook = keep(blobs)
  await expect(hook(hookMessageOf(idAt(Date.now()), [pattern(10), ABORTED]), session)).rejects.toBe(ABORTED)
  expect(ABORTED).toBeInstanceOf(MessageError)
  const bug = new TypeError('a bug')
  await expect(hook(hookMessageOf(idAt(Date.now()), [bug]), session)).rejects.toBe(bug)
  expect(await keysIn(blobs)).toEqual([])
})

test('a message is not kept if its sender was told during the commit that it took too long', async () => {
  const blobs = memory()
  const message = hookMessageOf(idAt(Date.now()), [pattern(10)])
  let isWhole = false
  // The engine does this with an answered message.
  const read = (): Uint8Array | null => {
    if (isWhole) throw ABORTED
    const bytes = message.read() as Uint8Array | null
    isWhole = bytes === null
    return bytes
  }
  await expect(keep(blobs)({ ...message, read }, session)).rejects.toBe(ABORTED)
  expect(isWhole).toBe(true)
  expect(await keysIn(blobs)).toEqual([])
})

async function refusalOf(answer: Promise<unknown>): Promise<Refusal> {
  const error = await answer.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(Refusal)
  return error as Refusal
}

test('a recipient is refused if the store has no place for it, whether the store answers at once or later', async () => {
  const to = { localPart: 'ann', domain: 'example.com' }
  const blobs = memory()
  const mail = (accepts: MailStore['accepts']): MailStore => Object.assign(mailStore(blobs), { accepts })
  // This store takes mail for all recipients.
  for (const store of [blobs, mailStore(blobs), mail(() => true)]) expect(refuseUnknown(store)(to)).toBe(undefined)
  expect(await refuseUnknown(mail(() => Promise.resolve(true)))(to)).toBe(undefined)
  for (const accepts of [() => false, () => Promise.resolve(false)]) {
    const answer = await refuseUnknown(mail(accepts))(to)
    expect(answer?.wire).toBe('550 5.1.1 No such mailbox here\r\n')
  }
  const asked: unknown[] = []
  await refuseUnknown(mail((path) => asked.push(path) > 0))(to)
  expect(asked).toEqual([to])
})
