/** A report for users of this server is kept by its store. */
import { type MailRecord, type MailStore, mailStore, StorageError } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import type { MailHere } from '../src/index.ts'
import { type HereDeps, keepHere } from '../src/onward/index.ts'

const BYTES = new TextEncoder().encode('Subject: report\r\n\r\nnot delivered\r\n')

/** Everybody has a mailbox, except `none`. */
function depsOf(store: MailStore): HereDeps {
  return {
    store,
    summary: true,
    parseAddress(address) {
      const at = address.lastIndexOf('@')
      return at < 0 ? undefined : { localPart: address.slice(0, at), domain: address.slice(at + 1) }
    },
    accountsOf: ({ localPart }) => Promise.resolve(localPart === 'none' ? undefined : [`${localPart}@near.example`]),
  }
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
  const results = await keepHere(mailFor('ann', 'none', 'bob'), depsOf(store))
  expect(results.map(({ state, enhancedCode }) => `${state} ${enhancedCode}`)).toEqual([
    'delivered 2.0.0',
    'failed 5.1.1',
    'delivered 2.0.0',
  ])
  const kept = await keptIn(store)
  expect(kept[0]?.summary).toMatchObject({ subject: 'report', snippet: 'not delivered' })
  expect(kept.map(({ forwardPaths }) => forwardPaths)).toMatchObject([
    [
      { address: 'ann@near.example', accounts: ['ann@near.example'] },
      { address: 'bob@near.example', accounts: ['bob@near.example'] },
    ],
  ])
})

test('a report whose users are all unknown is not kept', async () => {
  const store = mailStore(memory())
  expect(await keepHere(mailFor('none'), depsOf(store))).toMatchObject([{ state: 'failed', enhancedCode: '5.1.1' }])
  expect(await keptIn(store)).toEqual([])
})

test.each([1, 2])('a report is there once after the next attempt, if save %i of the store fails', async (failing) => {
  const store = mailStore(memory())
  let saves = 0
  const save: MailStore['save'] = (mail, session) => {
    if (++saves === failing) return Promise.reject(new StorageError('unavailable', 'the disk is full'))
    return store.save(mail, session)
  }
  const attempt = () => keepHere(mailFor('ann', 'bob'), depsOf({ save } as Partial<MailStore> as MailStore))
  await attempt().catch(() => attempt())
  expect(await keptIn(store)).toMatchObject([{ forwardPaths: [{}, {}] }])
})

test('a report is kept for the others, if a mailbox is not in the store', async () => {
  const store = mailStore(memory())
  const accepts: MailStore['accepts'] = ({ localPart }) => localPart !== 'ann'
  const save: MailStore['save'] = (mail, session) => store.save(mail, session)
  const results = await keepHere(mailFor('ann', 'bob'), depsOf({ save, accepts } as Partial<MailStore> as MailStore))
  expect(results.map(({ state }) => state)).toEqual(['failed', 'delivered'])
  expect(await keptIn(store)).toMatchObject([{ forwardPaths: [{ address: 'bob@near.example' }] }])
})
