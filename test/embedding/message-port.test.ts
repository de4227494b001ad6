/** The example of docs/embedding.md: a real session between two threads, over a MessagePort. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { contract } from '../contracts/duplex/duplex.ts'
import { fill, MiB, pattern } from '../contracts/duplex/exchange.ts'
import { DuplexClient } from '../kit/client/duplex-client.ts'
import { overMessagePort } from './message-port.ts'

const file = resolve(import.meta.dirname, 'message-port.ts')
const document = resolve(import.meta.dirname, '../../docs/embedding.md')

test('docs/embedding.md shows the example whole', () => {
  expect(readFileSync(document, 'utf8')).toContain(`\`\`\`ts\n${readFileSync(file, 'utf8')}\`\`\``)
})

/** A client at one end, and a server in its own thread at the other. */
async function startThread(): Promise<{ client: DuplexClient; thread: Worker }> {
  const { port1, port2 } = new MessageChannel()
  const thread = new Worker(new URL('message-port.thread.ts', import.meta.url), {
    workerData: port2,
    transferList: [port2],
  })
  const client = new DuplexClient(overMessagePort(port1))
  expect((await client.reply()).raw).toMatch(/^220 thread\.example /)
  return { client, thread }
}

/** Sends the commands up to the last BDAT, without the bytes of its chunk. */
async function beginMessage(client: DuplexClient, byteLength: number): Promise<void> {
  await client.command('HELO client.example', 250)
  await client.send(`MAIL FROM:<a@b.example>\r\nRCPT TO:<c@thread.example>\r\nBDAT ${byteLength} LAST\r\n`)
}

describe('a session between two threads', () => {
  test('10 MiB arrive unchanged, and the answer comes after the client has ended', async () => {
    const { client, thread } = await startThread()
    // A message without a bare line ending, and with every other byte.
    const message = pattern(10 * MiB).map((byte) => (byte === 10 || byte === 13 ? 0x20 : byte))
    await beginMessage(client, message.byteLength)
    // A thread has no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    thread.postMessage('read')
    for (let at = 0; at < message.byteLength; at += 65_536) await client.send(message.subarray(at, at + 65_536))
    client.end()
    await client.expect(250)
    await client.expect(250)
    const hash = createHash('sha256').update(message).digest('hex')
    expect((await client.reply()).text).toBe(`250 2.0.0 ${message.byteLength} ${hash}`)
    await client.closed()
    await once(thread, 'exit')
  })

  test('the writer has to wait if the other end does not read', async () => {
    const { client, thread } = await startThread()
    await beginMessage(client, 64 * MiB)
    const { written, waiting } = await fill(client.duplex)
    expect(written).toBeLessThan(2 * MiB)
    // A thread has no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    thread.postMessage('read')
    await waiting
    client.close()
    await once(thread, 'exit')
  })
})

describe('the contract of Duplex', () => {
  const lingerMs = 1_000
  for (const { name, needsStartTls, run } of contract) {
    if (needsStartTls) continue
    test(name, () =>
      run(async () => {
        const { port1, port2 } = new MessageChannel()
        return [overMessagePort(port1, { lingerMs }), overMessagePort(port2, { lingerMs })]
      }),
    )
  }
})
