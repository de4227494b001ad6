/** A report for users of this server is kept by its store. */
import type { AddressBook } from '@postern/intake/guards'
import type { MailHere } from '@postern/relay'
import { type MailRecord, type MailStore, mailStore, StorageError } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { keepHere } from '../src/serve/relay/here.ts'

const BYTES = new TextEncoder().encode('Subject: report\r\n\r\nnot delivered\r\n')
const BOOK: AddressBook = {
  resolve: ({ localPart }) =>
    localPart === 'none' ? { kind: 'unknown' } : { kind: 'accounts', accounts: [`${localPart}@near.example`] },
}

function mailFor(...localParts: readonly string[]): MailHere {
  return {
    envelope: { reversePath: '', body: '7BIT', smtpUtf8: false },
    addresses: localParts.map((localPart) => `${localPart}@near.example`),
    async *open() {
      yield BYTES
    },
  }
}

async function keptIn(store: MailStore): Promise<readonly MailRecord[]> {
  return (await store.list()).records
}

test('a report for several users is kept once, with an account for each, and not for an unknown address', async () => {
  const store = mailStore(memory())
  const results = await keepHere(mailFor('ann', 'none', 'bob'), store, () => BOOK)
  expect(results.map(({ state, enhancedCode }) => `${state} ${enhancedCode}`)).toEqual([
    'delivered 2.0.0',
    'failed 5.1.1',
    'delivered 2.0.0',
  ])
  const kept = await keptIn(store)
  expect(kept.map(({ forwardPaths }) => forwardPaths)).toMatchObject([
    [
      { address: 'ann@near.example', accounts: ['ann@near.example'] },
      { address: 'bob@near.example', accounts: ['bob@near.example'] },
    ],
  ])
})

test('a report whose users are all unknown is not kept', async () => {
  const store = mailStore(memory())
  expect(await keepHere(mailFor('none'), store, () => BOOK)).toMatchObject([{ state: 'failed', enhancedCode: '5.1.1' }])
  expect(await keptIn(store)).toEqual([])
})

test.each([1, 2])('a report is there once after the next attempt, if save %i of the store fails', async (failing) => {
  const store = mailStore(memory())
  let saves = 0
  const save: MailStore['save'] = (mail, session) => {
    if (++saves === failing) return Promise.reject(new StorageError('unavailable', 'the disk is full'))
    return store.save(mail, session)
  }
  const attempt = () => keepHere(mailFor('ann', 'bob'), { save } as Partial<MailStore> as MailStore, () => BOOK)
  await attempt().catch(() => attempt())
  expect(await keptIn(store)).toMatchObject([{ forwardPaths: [{}, {}] }])
})

test('a report is kept for the others, if a mailbox is not in the store', async () => {
  const store = mailStore(memory())
  const accepts: MailStore['accepts'] = ({ localPart }) => localPart !== 'ann'
  const save: MailStore['save'] = (mail, session) => store.save(mail, session)
  const results = await keepHere(
    mailFor('ann', 'bob'),
    { save, accepts } as Partial<MailStore> as MailStore,
    () => BOOK,
  )
  expect(results.map(({ state }) => state)).toEqual(['failed', 'delivered'])
  expect(await keptIn(store)).toMatchObject([{ forwardPaths: [{ address: 'bob@near.example' }] }])
})
