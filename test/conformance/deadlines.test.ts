/**
 * Every wait has an end: RFC 5321 4.5.3.2, and peers that are slow on purpose.
 *
 * Limits are small; what is asserted is that the end comes, within generous bounds, and how.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { createServer, type Limits, reply } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { type Client, eventually } from './client.ts'
import { short } from './reply.ts'
import { Service } from './service.ts'
import type { Profile } from './recorder.ts'

const services: Service[] = []
afterAll(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()))
})

async function start(limits: Partial<Limits>, more: Profile = {}): Promise<Service> {
  const service = await Service.start({ limits, ...more })
  services.push(service)
  return service
}

const EHLO = 'EHLO client.example'
const RCPT = [EHLO, 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']
const PATIENCE_MS = 3_000

/** The client is told, and closed on; and the session is over, whether the client closes too or not. */
async function timesOut(service: Service, client: Client, waitMs: number = PATIENCE_MS): Promise<readonly string[]> {
  expect((await client.repliesToEnd(waitMs)).map(short)).toEqual(['421 4.4.2'])
  return (await service.gone(client, waitMs)).events
}

/** Sends a piece now and then, until the server has had enough or `forMs` is over. */
async function trickle(client: Client, piece: string, everyMs: number, forMs: number): Promise<boolean> {
  const deadline = Date.now() + forMs
  while (Date.now() < deadline) {
    client.send(piece)
    if (!(await client.isQuiet(everyMs))) return true
  }
  return false
}

describe.concurrent('idle', () => {
  test.each([
    ['after the greeting', []],
    ['after EHLO', [EHLO]],
    ['in a transaction', RCPT],
    ['between two chunks', [...RCPT, 'BDAT 0']],
  ])('%s', async (_, lines) => {
    const service = await start({ idleTimeoutMs: 200, dataTimeoutMs: 200 })
    await timesOut(service, await service.at(lines))
  })

  test('with half a command', async () => {
    const service = await start({ idleTimeoutMs: 200 })
    const client = await service.at([EHLO])
    client.send('MAIL FROM:<a@exam')
    expect(await timesOut(service, client)).toEqual(['connect', `hello ${EHLO}`, 'close'])
  })

  test('in AUTH', async () => {
    const service = await start({ idleTimeoutMs: 200 }, { auth: 'always' })
    await timesOut(service, await service.at([EHLO, 'AUTH LOGIN']))
  })

  test('under TLS', async () => {
    const service = await start({ idleTimeoutMs: 300 })
    const client = await service.at([EHLO, 'STARTTLS'])
    await client.startTls()
    await timesOut(service, client)
  })

  test('commands keep a session alive', async () => {
    const service = await start({ idleTimeoutMs: 400 })
    const client = await service.at([EHLO])
    for (let i = 0; i < 8; i++) {
      expect(await client.isQuiet(100)).toBe(true)
      await client.expectAll(['NOOP'])
    }
    await timesOut(service, client)
  })

  // A command that never ends is no command: an octet now and then must not hold a session for ever.
  test('a command that began before the greeting has its time', async () => {
    const service = await Service.start(
      {},
      { handlers: { connect: () => new Promise((resolve) => setTimeout(resolve, 50)) } },
    )
    services.push(service)
    const client = await service.connect()
    client.send('EH')
    expect((await client.reply()).code).toBe(220)
    expect(await client.isQuiet(50)).toBe(true)
    client.send('LO client.example\r\n')
    expect((await client.reply()).code).toBe(250)
  })

  test('a command that began with the end of a slow message has its time', async () => {
    const service = await start({ idleTimeoutMs: 400, dataTimeoutMs: 2_000 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await client.isQuiet(500)).toBe(true)
    client.send('hi\r\n.\r\nNOO')
    expect(short(await client.reply())).toBe('250 2.0.0')
    expect(await client.isQuiet(100)).toBe(true)
    client.send('P\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  test('octets of one command do not', async () => {
    const service = await start({ idleTimeoutMs: 300 })
    const client = await service.at([EHLO])
    expect(await trickle(client, 'x', 50, PATIENCE_MS)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
  })

  test('octets of a chunk that was refused do not', async () => {
    const service = await start({
      idleTimeoutMs: 300,
      dataTimeoutMs: 300,
      minDataBytesPerSecond: 1_000,
      minDataRateGraceMs: 100,
    })
    const client = await service.at([EHLO])
    client.send('BDAT 1000000 LAST\r\n')
    expect(await trickle(client, 'x', 50, PATIENCE_MS)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
  })
})

describe.concurrent('message', () => {
  test.each([
    ['at once', 'DATA', ''],
    ['in a line', 'DATA', 'half a li'],
    ['before the last dot', 'DATA', 'text\r\n'],
    ['at the last dot', 'DATA', 'text\r\n.'],
    ['at its CR', 'DATA', 'text\r\n.\r'],
  ])('a pause %s', async (_, command, text) => {
    const service = await start({ dataTimeoutMs: 200 })
    const client = await service.at([...RCPT, command])
    client.send(text)
    const events = await timesOut(service, client)
    expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
  })

  test('a pause in a chunk', async () => {
    const service = await start({ dataTimeoutMs: 200 })
    const client = await service.at(RCPT)
    client.send('BDAT 100 LAST\r\nhalf')
    const events = await timesOut(service, client)
    expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
  })

  test('a pause in what is drained', async () => {
    const service = await start({ dataTimeoutMs: 200, maxMessageBytes: 10 })
    const client = await service.at([...RCPT, 'DATA'])
    client.send('x'.repeat(100))
    await timesOut(service, client)
  })

  test('slow and steady is in time', async () => {
    const service = await start({ dataTimeoutMs: 500, idleTimeoutMs: 500 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'a line\r\n', 100, 1_000)).toBe(false)
    client.send('.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  test('under the minimum rate', async () => {
    const service = await start({ minDataBytesPerSecond: 1_000, minDataRateGraceMs: 200 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'slow\r\n', 50, PATIENCE_MS)).toBe(true)
    const events = await timesOut(service, client)
    expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
  })

  test('over the minimum rate', async () => {
    const service = await start({ minDataBytesPerSecond: 100, minDataRateGraceMs: 200 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, `${'x'.repeat(200)}\r\n`, 100, 1_000)).toBe(false)
    client.send('.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  test('no minimum rate', async () => {
    const service = await start({ minDataBytesPerSecond: 0, minDataRateGraceMs: 0 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'x', 100, 500)).toBe(false)
    client.send('\r\n.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  // What a slow hook takes is not the client's fault.
  test('the rate does not count what the hook takes', async () => {
    const service = await Service.start(
      { limits: { minDataBytesPerSecond: 10_000, minDataRateGraceMs: 200, dataTimeoutMs: 5_000 } },
      {
        handlers: {
          async data(message) {
            for await (const _ of message.body) await new Promise((resolve) => setTimeout(resolve, 500))
          },
        },
      },
    )
    services.push(service)
    const client = await service.at([...RCPT, 'DATA'])
    client.send('one\r\n')
    expect(await client.isQuiet(100)).toBe(true)
    client.send('two\r\n.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  test('a read that its hook has left', async () => {
    const service = await Service.start(
      { limits: { dataTimeoutMs: 300 } },
      {
        handlers: {
          async data(message) {
            await Promise.race([message.read(), new Promise((resolve) => setTimeout(resolve, 50))])
            return reply(451, '4.7.1', 'Not now')
          },
        },
      },
    )
    services.push(service)
    const client = await service.at([...RCPT, 'DATA'])
    await timesOut(service, client)
  })
})

describe.concurrent('whole session', () => {
  test('busy with commands', async () => {
    const service = await start({ sessionTimeoutMs: 600 })
    const client = await service.at([EHLO])
    const deadline = Date.now() + PATIENCE_MS
    let last = ''
    while (last !== '421 4.4.2' && Date.now() < deadline) {
      if (!(await client.isQuiet(50))) last = short(await client.reply())
      else last = short(await client.command('NOOP'))
    }
    expect(last).toBe('421 4.4.2')
    await service.gone(client)
  })

  test('busy with a message', async () => {
    const service = await start({ sessionTimeoutMs: 600 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'a line of text\r\n', 50, PATIENCE_MS)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
    expect((await service.gone(client)).events.slice(-2)).toEqual(['lost timeout', 'close'])
  })

  test('busy with a hook', async () => {
    const service = await Service.start(
      { limits: { sessionTimeoutMs: 400 } },
      { handlers: { mail: () => new Promise(() => {}) } },
    )
    services.push(service)
    const client = await service.at([EHLO])
    client.send('MAIL FROM:<>\r\n')
    expect((await client.repliesToEnd(PATIENCE_MS)).map(short)).toEqual(['421 4.4.2'])
  })
})

describe.concurrent('peers that do not play along', () => {
  test('one that does not shake hands, where every write is waited for', async () => {
    const server = createServer({ hostname: 'mx.example.com', limits: { tlsHandshakeTimeoutMs: 100 } })
    const [client, served] = pair({ highWaterMark: 0, startTls: true })
    const over = server.accept(served)
    await client.read()
    void client.write(Buffer.from('EHLO client.example\r\n'))
    await client.read()
    void client.write(Buffer.from('STARTTLS\r\n'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(Buffer.from((await client.read()) ?? []).toString()).toMatch(/^220 /)
    await over
    await server.close({ graceMs: 0 })
  })

  test('one that does not shake hands', async () => {
    const service = await start({ tlsHandshakeTimeoutMs: 200 })
    const client = await service.at([EHLO, 'STARTTLS'])
    await client.closed(PATIENCE_MS)
    await service.gone(client)
  })

  test('one that shakes hands for ever', async () => {
    const service = await start({ tlsHandshakeTimeoutMs: 300 })
    const client = await service.at([EHLO, 'STARTTLS'])
    for (const octet of Buffer.from('16030100c6010000c20303')) {
      client.send(Uint8Array.of(octet))
      if (!(await client.isQuiet(50))) break
    }
    await client.closed(PATIENCE_MS)
    await service.gone(client)
  })

  // 421 was said, but the client never closes its side: it must not hold the session.
  test('one that does not close', async () => {
    const service = await start({ idleTimeoutMs: 200 })
    const client = await service.at([EHLO])
    await client.repliesToEnd(PATIENCE_MS)
    await service.gone(client)
    expect(service.server.sessionCount).toBe(0)
  })

  test('one that does not close in a message', async () => {
    const service = await start({ dataTimeoutMs: 200 })
    const client = await service.at([...RCPT, 'DATA'])
    await client.repliesToEnd(PATIENCE_MS)
    expect((await service.gone(client)).events.slice(-2)).toEqual(['lost timeout', 'close'])
  })

  test('one that does not read its replies', async () => {
    const service = await start({ idleTimeoutMs: 500 })
    const client = await service.at([EHLO])
    client.socket.pause()
    // More replies than the buffers of both systems hold.
    const flood = Buffer.from('HELP\r\n'.repeat(100_000))
    for (let i = 0; i < 20; i++) client.send(flood)
    await eventually(() => service.server.sessionCount === 0, 'the session is over', 10_000)
  })
})
