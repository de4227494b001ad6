/** Limits beyond a single line or message: connections, and the memory that a client may make the server use. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Limits } from '@postern/engine'
import { eventually } from '../kit/waiting.ts'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'

const services: Service[] = []
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()))
})

async function start(...given: Parameters<typeof Service.start>): Promise<Service> {
  const service = await Service.start(...given)
  services.push(service)
  return service
}

const RCPT = ['EHLO client.example', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']
const MiB = 1024 * 1024

describe('too many connections', () => {
  test.each([
    ['overall', { maxConnections: 2 }],
    ['from one address', { maxConnectionsPerAddress: 2 }],
  ] as [string, Partial<Limits>][])('get 421 %s', async (_, limits) => {
    const service = await start({ limits })
    const first = await service.client()
    const second = await service.client()
    const third = await service.connect()
    expect((await third.repliesToEnd()).map(short)).toEqual(['421 4.7.0'])
    expect(service.record(third).events).toEqual([])
    // Open sessions go on, and a place is free again once its session ends.
    await second.expectAll(['NOOP'])
    await first.expectAll(['QUIT'])
    await first.closed()
    first.close()
    await eventually(() => service.server.sessionCount === 1, 'the place is free')
    await (await service.client()).expectAll(['NOOP'])
  })

  test('the place of a session is free again, however the session ends', async () => {
    const service = await start({ limits: { maxConnections: 1, maxBadCommands: 1 } })
    const ends = [
      (client: Awaited<ReturnType<Service['client']>>) => client.reset(),
      (client: Awaited<ReturnType<Service['client']>>) => client.end(),
      (client: Awaited<ReturnType<Service['client']>>) => client.send('WHAT\r\n'),
      (client: Awaited<ReturnType<Service['client']>>) => client.send('GET / HTTP/1.1\r\n'),
      (client: Awaited<ReturnType<Service['client']>>) => client.send('EHLO c.example\r\nSTARTTLS\r\nNOOP\r\n'),
    ]
    for (const end of ends) {
      const client = await service.client()
      end(client)
      await eventually(() => service.server.sessionCount === 0, `the place is free after ${end}`)
      client.close()
    }
  })
})

describe('octets of all envelopes together', () => {
  const MAIL = 'MAIL FROM:<a@example.org>'
  const long = `RCPT TO:<${'x'.repeat(900)}@example.com>`

  test('are limited, and freed however a transaction ends', async () => {
    const service = await start({ limits: { maxTotalEnvelopeOctets: 4_096 } })
    const [greedy, other] = [await service.at(['EHLO greedy.example']), await service.at(['EHLO other.example'])]
    const codes = async (client: typeof greedy, ...lines: string[]): Promise<string[]> => {
      client.send(lines.map((line) => `${line}\r\n`).join(''))
      return (await client.replies(lines.length)).map(short)
    }
    const fill = (): Promise<string[]> => codes(greedy, MAIL, ...Array<string>(6).fill(long))
    const full = ['250 2.1.0', ...Array<string>(5).fill('250 2.1.5'), '452 4.3.1']
    const ask = (): Promise<string[]> => codes(other, MAIL, long, long, long, 'RSET')
    const ends: (() => Promise<unknown>)[] = [
      () => codes(greedy, 'RSET'),
      () => codes(greedy, 'EHLO greedy.example'),
      () => codes(greedy, 'BDAT 0 LAST'),
      async () => {
        // The client does not close its end.
        greedy.socket.allowHalfOpen = true
        expect(await codes(greedy, 'QUIT')).toEqual(['221 2.0.0'])
      },
    ]
    for (const end of ends) {
      expect(await fill()).toEqual(full)
      // Each session has 4 KiB of its own, and gets no more from the shared part.
      expect(await ask()).toEqual(['250 2.1.0', '250 2.1.5', '250 2.1.5', '452 4.3.1', '250 2.0.0'])
      await end()
      await eventually(async () => (await ask())[3] === '250 2.1.5', 'there is room again')
    }
  })

  test('do not include paths of refused recipients', async () => {
    const service = await start({ limits: { maxTotalEnvelopeOctets: 4_096 } })
    const client = await service.at(['EHLO c.example', MAIL])
    for (let i = 0; i < 20; i++) {
      expect(short(await client.command(`RCPT TO:<unknown@${'x'.repeat(800)}>`))).toBe('550 5.1.1')
    }
    expect(short(await client.command(long))).toBe('250 2.1.5')
  })
})

describe('back-pressure', () => {
  /** The number of bytes that the system's buffers at both ends may hold. */
  const IN_FLIGHT = 24 * MiB
  const BLOCK = Buffer.from(`${'x'.repeat(1_022)}\r\n`.repeat(1_024))

  test('the client has to wait while the data hook does not read', async () => {
    let go: (() => void) | undefined
    const going = new Promise<void>((resolve) => {
      go = resolve
    })
    let size = 0
    const service = await start(
      { limits: { maxMessageBytes: 100 * MiB } },
      {
        handlers: {
          async data(message) {
            await message.read()
            await going
            for await (const bytes of message.body) size += bytes.length
          },
        },
      },
    )
    const client = await service.at([...RCPT, 'DATA'])
    const before = process.memoryUsage().rss
    for (let i = 0; i < 64; i++) client.send(BLOCK)
    client.send('.\r\n')
    let sent = -1
    await eventually(() => {
      const isStill = client.bytesSent === sent
      sent = client.bytesSent
      return isStill && sent > MiB
    }, 'the client has to wait')
    expect(await client.isQuiet(300)).toBe(true)
    expect(client.bytesSent).toBeLessThan(IN_FLIGHT)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MiB)
    go?.()
    expect(short(await client.reply(20_000))).toBe('250 2.0.0')
    expect(size).toBeGreaterThan(60 * MiB)
  })

  test('a message over its limit is dropped in constant memory', async () => {
    const service = await start({ limits: { maxMessageBytes: MiB, maxDrainBytes: 200 * MiB } })
    const client = await service.at([...RCPT, 'DATA'])
    let most = 0
    const before = process.memoryUsage().rss
    for (let i = 0; i < 128; i++) {
      if (!client.socket.write(BLOCK)) await new Promise((resolve) => client.socket.once('drain', resolve))
      most = Math.max(most, process.memoryUsage().rss)
    }
    client.send('.\r\n')
    expect(short(await client.reply(20_000))).toBe('552 5.3.4')
    expect(most - before).toBeLessThan(64 * MiB)
  })

  test('a command line over its limit is dropped in constant memory', async () => {
    const service = await start({ limits: { idleTimeoutMs: 60_000 } })
    const client = await service.at(['EHLO client.example'])
    const before = process.memoryUsage().rss
    for (let i = 0; i < 64; i++) {
      if (!client.socket.write(Buffer.alloc(MiB, 'x')))
        await new Promise((resolve) => client.socket.once('drain', resolve))
    }
    client.send('\r\n')
    expect(short(await client.reply(20_000))).toBe('500 5.5.2')
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MiB)
  })

  test('a client that sends on past the drain cap is closed', async () => {
    const service = await start({ limits: { maxMessageBytes: MiB, maxDrainBytes: MiB } })
    const client = await service.at([...RCPT, 'DATA'])
    for (let i = 0; i < 32; i++) client.send(BLOCK)
    const record = await service.gone(client)
    expect(record.events.slice(-2)).toEqual(['lost too-large', 'close'])
    // The system may drop the 421 to a client that does not read.
    expect((await client.repliesToEnd().catch(() => [])).map(short)).toSatisfy(
      (codes: string[]) => codes.length === 0 || codes.join() === '421 4.7.0',
    )
  })

  test('a client that stops past the drain cap and reads gets 421', async () => {
    const service = await start({ limits: { maxMessageBytes: MiB, maxDrainBytes: MiB } })
    const client = await service.at([...RCPT, 'DATA'])
    client.send(Buffer.concat([BLOCK, BLOCK, BLOCK]))
    expect((await client.repliesToEnd()).map(short)).toEqual(['421 4.7.0'])
  })
})

test('a hook gets the bytes in any form that it asks for', async () => {
  const texts: string[] = []
  const forms = ['body', 'stream', 'bytes', 'read'] as const
  let form: (typeof forms)[number] = 'body'
  const service = await start(
    {},
    {
      handlers: {
        async data(message) {
          const pieces: Uint8Array[] = []
          if (form === 'body') for await (const bytes of message.body) pieces.push(bytes.slice())
          else if (form === 'stream') for await (const bytes of message.stream()) pieces.push(bytes)
          else if (form === 'bytes') pieces.push(await message.bytes())
          else
            for (let bytes = await message.read(); bytes !== null; bytes = await message.read())
              pieces.push(bytes.slice())
          texts.push(Buffer.concat(pieces).toString())
          expect(message.size).toBe(texts.at(-1)?.length)
        },
      },
    },
  )
  const client = await service.at(['EHLO client.example'])
  for (form of forms) {
    await client.expectAll([...RCPT.slice(1), 'DATA'])
    await client.sendPieces(['a\r\n..', 'b\r\n', '.', '\r\n'])
    expect(short(await client.reply())).toBe('250 2.0.0')
  }
  expect(texts).toEqual(Array<string>(4).fill('a\r\n.b\r\n'))
})
