/** Reads and `bytes()` give each byte of a message once, however the bytes come, also with many commands between two chunks. */
import { createServer } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { expect, test } from 'vitest'
import { bytesOf } from '../../packages/engine/test/proxy-encoder.ts'

const START = 'EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nBDAT 3\r\nabc'
const NOOPS = 2_000

test.each([
  ['all of it waits already', true],
  ['each octet is waited for', false],
])('each octet of the message is read once: %s', async (_, isHere) => {
  const kept: number[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    limits: { maxIdleCommands: NOOPS },
    async data(message) {
      for await (const _ of message.body);
      kept.push(message.size)
    },
  })
  const [client, served] = pair({ chunkBytes: 1, highWaterMark: 1_000_000 })
  const over = server.accept(served)
  const sent = `${START}${'NOOP\r\n'.repeat(NOOPS)}BDAT 2 LAST\r\ndeQUIT\r\n`
  let replies = ''
  const read = (async () => {
    for (let bytes = await client.read(); bytes !== null; bytes = await client.read()) {
      replies += Buffer.from(bytes).toString()
    }
  })()
  if (isHere) void client.write(bytesOf(sent))
  else for (const character of sent) await Promise.resolve(client.write(bytesOf(character)))
  await read
  await client.end()
  await over
  expect(kept).toEqual([5])
  expect(replies.match(/^250 2\.0\.0 OK\r$/gm)?.length).toBe(NOOPS)
  expect(replies).toMatch(/221 2\.0\.0 [^\r]+\r\n$/)
})

test('bytes that already wait are counted once', async () => {
  const kept: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    async data(message) {
      const bytes = await message.bytes()
      kept.push(`${message.size} ${Buffer.from(bytes).toString('latin1')}`)
    },
  })
  const [client, served] = pair()
  const over = server.accept(served)
  for (const piece of [START.replace('BDAT 3\r\nabc', 'DATA\r\n'), 'one\r\n', 'two\r\n', '.\r\nQUIT\r\n']) {
    void client.write(bytesOf(piece))
  }
  while ((await client.read()) !== null);
  await client.end()
  await over
  expect(kept).toEqual(['10 one\r\ntwo\r\n'])
})
