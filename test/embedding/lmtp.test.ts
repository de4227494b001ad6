/** LMTP in an embedder's program: hooks that answer each recipient, and what the hooks and the record are told. */
import { createServer, type DataVerdict, type RefusedCommand, reply, type ServerOptions } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { keep, mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { describe, expect, test } from 'vitest'
import { DuplexClient } from '../kit/client/duplex-client.ts'
import { short } from '../kit/client/reply.ts'

const OK = reply(250, '2.1.5', 'Kept')
const FULL = reply(452, '4.2.2', 'Full')
const OFF = reply(550, '5.2.1', 'Off')
const TWO = ['LHLO client.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'RCPT TO:<e@d.example>']

interface Seen {
  readonly replies: readonly string[]
  readonly refused: readonly RefusedCommand[]
  readonly errors: readonly string[]
}

/** Sends lines, each after the reply to the one before, then the rest. Returns the replies to the rest. */
async function deliver(options: Partial<ServerOptions>, rest: string, lines = [...TWO, 'DATA']): Promise<Seen> {
  const refused: RefusedCommand[] = []
  const errors: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    refused: (command) => void refused.push(command),
    error: (error) => void errors.push(String(error)),
    ...options,
  })
  const [near, far] = pair({})
  const over = server.accept(near, { protocol: 'lmtp' })
  using client = new DuplexClient(far)
  await client.reply()
  for (const line of lines) {
    await client.sendPieces([`${line}\r\n`])
    await client.reply()
  }
  await client.sendPieces([rest])
  if (rest.endsWith('QUIT\r\n')) client.end()
  const replies = (await client.repliesToEnd()).map(short)
  await over
  return { replies, refused, errors }
}

describe('the answer of the data hook', () => {
  test.each<[string, DataVerdict, string[]]>([
    ['one reply for all', FULL, ['452 4.2.2', '452 4.2.2']],
    ['a list', [OK, OFF], ['250 2.1.5', '550 5.2.1']],
    ['a list of refusals', [FULL, OFF], ['452 4.2.2', '550 5.2.1']],
    ['a reply without an enhanced code', [reply(250, '', 'Yes'), OK], ['250 2.0.0', '250 2.1.5']],
    ['nothing', undefined, ['250 2.0.0', '250 2.0.0']],
  ])('%s is a reply for each recipient', async (_, answer, expected) => {
    const { replies, errors } = await deliver({ data: () => answer }, 'hi\r\n.\r\nQUIT\r\n')
    expect(replies).toEqual([...expected, '221 2.0.0'])
    expect(errors).toEqual([])
  })

  test.each<[string, unknown]>([
    ['too short', [OK]],
    ['too long', [OK, OK, OK]],
    ['empty', []],
    ['with a gap', [OK, undefined]],
    ['with something else', [OK, { code: 250 }]],
    ['with a reply of 3xx', [reply(354, '', 'Go on'), OK]],
  ])('a list that is %s refuses the message for all', async (_, answer) => {
    const { replies, errors } = await deliver({ data: () => answer as DataVerdict }, 'hi\r\n.\r\nQUIT\r\n')
    expect(replies).toEqual(['451 4.3.0', '451 4.3.0', '221 2.0.0'])
    expect(errors).toEqual([expect.stringContaining('the hook data gave an invalid answer')])
  })

  test('`refused` names each recipient who was refused alone, and is called once if all got one reply', async () => {
    const { refused } = await deliver({ data: () => [OK, OFF] }, 'hi\r\n.\r\nQUIT\r\n')
    expect(refused.map(({ verb, reply: { code }, forwardPath }) => [verb, code, forwardPath?.address])).toEqual([
      ['DATA', 550, 'e@d.example'],
    ])
    const all = await deliver({ data: () => FULL }, 'hi\r\n.\r\nQUIT\r\n')
    expect(all.refused.map(({ verb, reply: { code }, forwardPath }) => [verb, code, forwardPath])).toEqual([
      ['DATA', 452, undefined],
    ])
  })
})

describe('a reply for each recipient also comes', () => {
  test('if the hook is late', async () => {
    const { replies } = await deliver(
      { limits: { hookTimeoutMs: 20 }, data: () => new Promise(() => {}) },
      'hi\r\n.\r\nQUIT\r\n',
    )
    expect(replies).toEqual(['451 4.3.0', '451 4.3.0', '221 2.0.0'])
  })

  test('if the client sends the rest of its message too late', async () => {
    const { replies } = await deliver(
      { limits: { dataTimeoutMs: 20 }, data: async (message) => void (await message.bytes()) },
      'half a message\r\n',
    )
    expect(replies).toEqual(['421 4.4.2', '421 4.4.2'])
  })

  test('if the server takes no messages and the message came as one chunk', async () => {
    const { replies } = await deliver({}, 'BDAT 2 LAST\r\nhiBDAT 0 LAST\r\nQUIT\r\n', TWO)
    expect(replies).toEqual(['550 5.3.2', '550 5.3.2', '503 5.5.1', '221 2.0.0'])
  })
})

test('a store keeps the message once, as LMTP, and each recipient gets its 250', async () => {
  const store = mailStore(memory())
  const { replies } = await deliver({ data: keep(store) }, 'hi\r\n.\r\nQUIT\r\n')
  expect(replies).toEqual(['250 2.0.0', '250 2.0.0', '221 2.0.0'])
  const { records } = await store.list()
  expect(records).toHaveLength(1)
  expect(records[0]).toMatchObject({
    session: { hello: { verb: 'LHLO', name: 'client.example' }, transmissionType: 'LMTP' },
    forwardPaths: [{ address: 'c@d.example' }, { address: 'e@d.example' }],
  })
})
