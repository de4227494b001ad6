/** The client leaves, or the server gets SIGTERM, at each point of a transaction. */
import { afterAll, beforeAll, describe, expect, test as every } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendByData, sendEnvelope, textOf } from '../corpus/send.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { difference, filesIn, idIn, keptIds, readAll, readKept } from '../peers/store.ts'
import { sample } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { partly } from '../kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)

const SMALL = messageOf(2_000).bytes
const LARGE = messageOf(3 * MiB).bytes
/** How long the server may take to notice, and to clean up. */
const PATIENCE_MS = 20_000

/** Waits until the store holds so many messages, and no other file. */
async function settled(store: string, messages: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const files = await filesIn(store)
    const ids = await keptIds(store)
    if (ids.length === messages && files.length === 2 * messages) return
    if (Date.now() > deadline) throw new Error(`${ids.length} of ${messages} messages:\n${files.join('\n')}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function begin(port: number, command: string): Promise<SocketClient> {
  const client = await SocketClient.ready(port)
  await sendEnvelope(client, {})
  if (command !== '') await client.command(command, 354)
  return client
}

describe('the client leaves', () => {
  let scratch: Scratch
  let server: MailServer
  let kept = 0

  beforeAll(async () => {
    scratch = await Scratch.make()
    server = await serveMail({ store: scratch.join('mail') })
    using client = await SocketClient.ready(server.port)
    await sendByData(client, { bytes: SMALL })
    await client.quit()
    kept = 1
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await scratch[Symbol.asyncDispose]()
  })

  const chunk = Buffer.concat([Buffer.from('BDAT 100000\r\n'), LARGE.subarray(0, 100_000)])
  const points: Record<string, (port: number) => Promise<SocketClient>> = {
    'before the greeting': (port) => SocketClient.connect(port),
    'after EHLO': (port) => SocketClient.ready(port),
    'in a command line': async (port) => {
      const client = await SocketClient.ready(port)
      await client.send('MAIL FROM:<ann@')
      return client
    },
    'after MAIL': async (port) => {
      const client = await SocketClient.ready(port)
      await client.command('MAIL FROM:<ann@sender.example>', 250)
      return client
    },
    'after RCPT': (port) => begin(port, ''),
    'after DATA': (port) => begin(port, 'DATA'),
    'in the middle of a small message': async (port) => {
      const client = await begin(port, 'DATA')
      await client.send(SMALL.subarray(0, 1_000))
      return client
    },
    'in the middle of a large message': async (port) => {
      const client = await begin(port, 'DATA')
      await client.send(LARGE.subarray(0, 2 * MiB))
      return client
    },
    'with all but the last octet of the end of data': async (port) => {
      const client = await begin(port, 'DATA')
      await client.send(textOf(LARGE).subarray(0, -1))
      return client
    },
    'in the middle of a chunk': async (port) => {
      const client = await begin(port, '')
      await client.send(chunk.subarray(0, 50_000))
      return client
    },
    'between two chunks': async (port) => {
      const client = await begin(port, '')
      await client.send(chunk)
      await client.expect(250)
      return client
    },
  }
  for (const [point, go] of Object.entries(points)) {
    for (const manner of ['by a reset', 'by an end', 'after a while'] as const) {
      test(`${point}, ${manner}: no message is kept, and no file is left`, async () => {
        using client = await go(server.port)
        if (manner === 'after a while') await new Promise((resolve) => setTimeout(resolve, 150))
        if (manner === 'by an end') {
          client.end()
          await client.ended()
        } else client.reset()
        await settled(server.store, kept)
      })
    }
  }

  test('after the end of data, before the reply: the message is kept whole, or not at all', async () => {
    const before = new Set(await keptIds(server.store))
    let sent = 0
    for (const bytes of [SMALL, LARGE]) {
      for (const delayMs of [0, 0, 1, 2, 4, 8, 16]) {
        using client = await begin(server.port, 'DATA')
        await client.send(textOf(bytes))
        await new Promise((resolve) => setTimeout(resolve, delayMs))
        client.reset()
        sent++
      }
    }
    // A committed message stays. So the test counts the messages once the store does not change any more.
    await expect.poll(async () => (await filesIn(server.store)).filter((file) => file.startsWith('.')).length).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const found = (await readAll(server.store)).filter(({ record }) => !before.has(record.id))
    for (const { bytes } of found) {
      expect(difference(bytes, bytes.length === SMALL.length ? SMALL : LARGE)).toBeUndefined()
    }
    kept += found.length
    await settled(server.store, kept)
    console.info(`client gone before the reply: ${sent} sent, ${found.length} kept, all whole`)
  })

  test('afterwards the server still serves, and has no open session', async () => {
    using client = await SocketClient.ready(server.port)
    expect((await sendByData(client, { bytes: LARGE })).code).toBe(250)
    await client.quit()
    await settled(server.store, kept + 1)
    expect(server.log.filter(({ level }) => level === 'ERROR' || level === 'FATAL')).toEqual([])
    expect(await server.end('SIGTERM')).toBe(0)
  })
})

/** The engine stops in the same way on every runtime, so a run takes Node and one of the others. */
const STOPPED = ['node' as const, ...sample(['deno', 'bun'] as const, 1)].map((name) => [name, COMMANDS[name]] as const)

describe.each(STOPPED)('the server is asked to stop on %s', (_runtime, command) => {
  test('SIGTERM: a message in DATA and one in BDAT may finish, and an idle client gets 421 4.3.2', async () => {
    await using scratch = await Scratch.make()
    await using server = await serveMail({ command, store: scratch.join('mail') })
    using idle = await SocketClient.ready(server.port)
    using fresh = await SocketClient.connect(server.port)
    await fresh.expect(220)
    using between = await begin(server.port, '')
    using data = await begin(server.port, 'DATA')
    const text = textOf(LARGE)
    await data.send(text.subarray(0, MiB))
    using bdat = await begin(server.port, '')
    await bdat.send(`BDAT ${LARGE.length} LAST\r\n`)
    await bdat.send(LARGE.subarray(0, MiB))
    // A chunk gets no reply before its end, so the test looks into the store to see that the server reads it.
    await expect.poll(() => filesIn(server.store)).toHaveLength(2)

    server.signal('SIGTERM')
    for (const client of [idle, fresh, between]) {
      await client.expect(421, '4.3.2')
      await client.ended()
    }
    await expect(SocketClient.ready(server.port)).rejects.toThrow()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(server.isRunning).toBe(true)

    await data.send(text.subarray(MiB))
    await bdat.send(LARGE.subarray(MiB))
    const ids = [idIn((await data.expect(250)).text), idIn((await bdat.expect(250)).text)]
    for (const client of [data, bdat]) {
      await client.expect(421, '4.3.2')
      await client.ended()
    }
    expect(await server.ended).toBe(0)
    for (const id of ids) expect(difference((await readKept(server.store, id)).bytes, LARGE)).toBeUndefined()
    await settled(server.store, 2)
  })

  test('SIGTERM: 50 messages in DATA all finish, get 250 and are whole', async () => {
    await using scratch = await Scratch.make()
    const flags = ['--max-connections-per-address', '200']
    await using server = await serveMail({ command, store: scratch.join('mail'), flags })
    const bytes = messageOf(300_000).bytes
    const text = textOf(bytes)
    const clients = await Promise.all(Array.from({ length: 50 }, () => begin(server.port, 'DATA')))
    await Promise.all(clients.map((client) => client.send(text.subarray(0, 100_000))))
    server.signal('SIGTERM')
    // A busy server may accept a connection before it gets the signal.
    const connects = (): Promise<string> =>
      SocketClient.ready(server.port).then(
        (client) => {
          client.close()
          return 'accepted'
        },
        () => 'refused',
      )
    await expect.poll(connects, { timeout: 60_000 }).toBe('refused')
    const replies = await Promise.all(
      clients.map(async (client) => {
        await client.send(text.subarray(100_000))
        const { text: reply } = await client.expect(250)
        await client.expect(421, '4.3.2')
        await client.ended()
        return reply
      }),
    )
    expect(await server.ended).toBe(0)
    for (const reply of replies) {
      expect(difference((await readKept(server.store, idIn(reply))).bytes, bytes)).toBeUndefined()
    }
    await settled(server.store, 50)
  })

  test('SIGTERM: a message that does not end in the grace period is dropped, and never listed', async () => {
    await using scratch = await Scratch.make()
    await using server = await serveMail({ command, store: scratch.join('mail'), flags: ['--grace-ms', '1s'] })
    using client = await begin(server.port, 'DATA')
    await client.send(LARGE.subarray(0, MiB))
    const startedAt = Date.now()
    expect(await server.end('SIGTERM')).toBe(0)
    expect(Date.now() - startedAt).toBeLessThan(10_000)
    await client.ended()
    expect(await keptIds(server.store)).toEqual([])
  })
})
