/**
 * Every wait has a limit: RFC 5321 4.5.3.2, and peers that are slow on purpose.
 *
 * The limits are small. The tests check how a session ends, and that it ends within generous bounds.
 *
 * No test may fail because the machine is busy: then the test itself pauses for longer than a limit. So a test that fails is run
 * again at a slower pace: all its limits and pauses are longer, in the same proportion. A fault of the server fails at each pace.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { createServer, type Limits, reply } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import { short } from '../kit/client/reply.ts'
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
const PACES = [1, 4, 16]
const TEST_TIMEOUT_MS = 300_000

function paced(name: string, body: (pace: number) => Promise<void>): void {
  test(name, { timeout: TEST_TIMEOUT_MS }, async () => {
    let last: unknown
    for (const pace of PACES) {
      try {
        return await body(pace)
      } catch (error) {
        last = error
      }
    }
    throw last
  })
}

function pacedEach<T>(cases: readonly (readonly [string, T])[], body: (pace: number, given: T) => Promise<void>): void {
  for (const [name, given] of cases) paced(name, (pace) => body(pace, given))
}

/** Checks that the client gets the reply and is closed, and that the session ends, whether the client closes too or not. */
async function timesOut(service: Service, client: SocketClient, waitMs: number): Promise<readonly string[]> {
  expect((await client.repliesToEnd(waitMs)).map(short)).toEqual(['421 4.4.2'])
  return (await service.gone(client, waitMs)).events
}

/** Sends a piece now and then, until the server closes or `forMs` is over. Returns whether the server closed. */
async function trickle(client: SocketClient, piece: string, everyMs: number, forMs: number): Promise<boolean> {
  const deadline = Date.now() + forMs
  while (Date.now() < deadline) {
    client.send(piece)
    if (!(await client.isQuiet(everyMs))) return true
  }
  return false
}

describe.concurrent('idle', () => {
  pacedEach<readonly string[]>(
    [
      ['after the greeting', []],
      ['after EHLO', [EHLO]],
      ['in a transaction', RCPT],
      ['between two chunks', [...RCPT, 'BDAT 0']],
    ],
    async (pace, lines) => {
      const service = await start({ idleTimeoutMs: 200 * pace, dataTimeoutMs: 200 * pace })
      await timesOut(service, await service.at(lines), PATIENCE_MS * pace)
    },
  )

  paced('a client that stops in the middle of a command is closed', async (pace) => {
    const service = await start({ idleTimeoutMs: 200 * pace })
    const client = await service.at([EHLO])
    client.send('MAIL FROM:<a@exam')
    expect(await timesOut(service, client, PATIENCE_MS * pace)).toEqual(['connect', `hello ${EHLO}`, 'close'])
  })

  paced('in AUTH', async (pace) => {
    const service = await start({ idleTimeoutMs: 200 * pace }, { auth: 'always' })
    await timesOut(service, await service.at([EHLO, 'AUTH LOGIN']), PATIENCE_MS * pace)
  })

  paced('under TLS', async (pace) => {
    const service = await start({ idleTimeoutMs: 300 * pace })
    const client = await service.at([EHLO, 'STARTTLS'])
    await client.startTls()
    await timesOut(service, client, PATIENCE_MS * pace)
  })

  paced('commands keep a session alive', async (pace) => {
    const service = await start({ idleTimeoutMs: 400 * pace })
    const client = await service.at([EHLO])
    for (let i = 0; i < 8; i++) {
      expect(await client.isQuiet(100 * pace)).toBe(true)
      await client.expectAll(['NOOP'])
    }
    await timesOut(service, client, PATIENCE_MS * pace)
  })

  // A client that sends an octet of a command now and then must not keep its session open.
  paced('a command that began before the greeting gets its full time', async (pace) => {
    const service = await Service.start(
      {},
      { handlers: { connect: () => new Promise((resolve) => setTimeout(resolve, 50 * pace)) } },
    )
    services.push(service)
    const client = await service.connect()
    client.send('EH')
    expect((await client.reply()).code).toBe(220)
    expect(await client.isQuiet(50 * pace)).toBe(true)
    client.send('LO client.example\r\n')
    expect((await client.reply()).code).toBe(250)
  })

  paced('a command that began with the end of a slow message gets its full time', async (pace) => {
    const service = await start({ idleTimeoutMs: 400 * pace, dataTimeoutMs: 2_000 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await client.isQuiet(500 * pace)).toBe(true)
    client.send('hi\r\n.\r\nNOO')
    expect(short(await client.reply())).toBe('250 2.0.0')
    expect(await client.isQuiet(100 * pace)).toBe(true)
    client.send('P\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  paced('octets of an unfinished command do not keep a session alive', async (pace) => {
    const service = await start({ idleTimeoutMs: 300 * pace })
    const client = await service.at([EHLO])
    expect(await trickle(client, 'x', 50 * pace, PATIENCE_MS * pace)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
  })

  paced('octets of a refused chunk do not keep a session alive', async (pace) => {
    const service = await start({
      idleTimeoutMs: 300 * pace,
      dataTimeoutMs: 300 * pace,
      minDataBytesPerSecond: 1_000,
      minDataRateGraceMs: 100 * pace,
    })
    const client = await service.at([EHLO])
    client.send('BDAT 1000000 LAST\r\n')
    expect(await trickle(client, 'x', 50 * pace, PATIENCE_MS * pace)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
  })
})

describe.concurrent('message', () => {
  pacedEach(
    [
      ['a client that pauses at once is closed', ''],
      ['a client that pauses in a line is closed', 'half a li'],
      ['a client that pauses before the last dot is closed', 'text\r\n'],
      ['a client that pauses at the last dot is closed', 'text\r\n.'],
      ['a client that pauses at the CR of the last dot is closed', 'text\r\n.\r'],
    ],
    async (pace, text) => {
      const service = await start({ dataTimeoutMs: 200 * pace })
      const client = await service.at([...RCPT, 'DATA'])
      client.send(text)
      const events = await timesOut(service, client, PATIENCE_MS * pace)
      expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
    },
  )

  paced('a client that pauses in a chunk is closed', async (pace) => {
    const service = await start({ dataTimeoutMs: 200 * pace })
    const client = await service.at(RCPT)
    client.send('BDAT 100 LAST\r\nhalf')
    const events = await timesOut(service, client, PATIENCE_MS * pace)
    expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
  })

  paced('a client that pauses in a refused message is closed', async (pace) => {
    const service = await start({ dataTimeoutMs: 200 * pace, maxMessageBytes: 10 })
    const client = await service.at([...RCPT, 'DATA'])
    client.send('x'.repeat(100))
    await timesOut(service, client, PATIENCE_MS * pace)
  })

  paced('a client that sends slowly but steadily is not closed', async (pace) => {
    const service = await start({ dataTimeoutMs: 500 * pace, idleTimeoutMs: 500 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'a line\r\n', 100 * pace, 1_000 * pace)).toBe(false)
    client.send('.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  paced('a client under the minimum rate is closed', async (pace) => {
    const service = await start({ minDataBytesPerSecond: 1_000, minDataRateGraceMs: 200 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'slow\r\n', 50 * pace, PATIENCE_MS * pace)).toBe(true)
    const events = await timesOut(service, client, PATIENCE_MS * pace)
    expect(events.slice(-3)).toEqual(['data', 'lost timeout', 'close'])
  })

  paced('a client over the minimum rate is not closed', async (pace) => {
    const service = await start({ minDataBytesPerSecond: 100, minDataRateGraceMs: 200 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, `${'x'.repeat(200)}\r\n`, 100 * pace, 1_000 * pace)).toBe(false)
    client.send('.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  paced('a slow client is not closed without a minimum rate', async (pace) => {
    const service = await start({ minDataBytesPerSecond: 0, minDataRateGraceMs: 0 })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'x', 100 * pace, 500 * pace)).toBe(false)
    client.send('\r\n.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  // The client is not responsible for the time of a slow hook.
  paced('the rate does not count the time of the hook', async (pace) => {
    const service = await Service.start(
      { limits: { minDataBytesPerSecond: 10_000, minDataRateGraceMs: 200 * pace, dataTimeoutMs: 5_000 * pace } },
      {
        handlers: {
          async data(message) {
            for await (const _ of message.body) await new Promise((resolve) => setTimeout(resolve, 500 * pace))
          },
        },
      },
    )
    services.push(service)
    const client = await service.at([...RCPT, 'DATA'])
    client.send('one\r\n')
    expect(await client.isQuiet(100 * pace)).toBe(true)
    client.send('two\r\n.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
  })

  paced('a read that outlives its hook still has a deadline', async (pace) => {
    const service = await Service.start(
      { limits: { dataTimeoutMs: 300 * pace } },
      {
        handlers: {
          async data(message) {
            await Promise.race([message.read(), new Promise((resolve) => setTimeout(resolve, 50 * pace))])
            return reply(451, '4.7.1', 'Not now')
          },
        },
      },
    )
    services.push(service)
    const client = await service.at([...RCPT, 'DATA'])
    await timesOut(service, client, PATIENCE_MS * pace)
  })
})

describe.concurrent('whole session', () => {
  paced('ends at its limit while the client sends commands', async (pace) => {
    const service = await start({ sessionTimeoutMs: 600 * pace })
    const client = await service.at([EHLO])
    const deadline = Date.now() + PATIENCE_MS * pace
    let last = ''
    while (last !== '421 4.4.2' && Date.now() < deadline) {
      if (!(await client.isQuiet(50 * pace))) last = short(await client.reply())
      else last = short(await client.command('NOOP'))
    }
    expect(last).toBe('421 4.4.2')
    await service.gone(client, PATIENCE_MS * pace)
  })

  paced('ends at its limit while the client sends a message', async (pace) => {
    const service = await start({ sessionTimeoutMs: 600 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    expect(await trickle(client, 'a line of text\r\n', 50 * pace, PATIENCE_MS * pace)).toBe(true)
    expect(short(await client.reply())).toBe('421 4.4.2')
    expect((await service.gone(client, PATIENCE_MS * pace)).events.slice(-2)).toEqual(['lost timeout', 'close'])
  })

  paced('ends at its limit while a hook runs', async (pace) => {
    const service = await Service.start(
      { limits: { sessionTimeoutMs: 400 * pace } },
      { handlers: { mail: () => new Promise(() => {}) } },
    )
    services.push(service)
    const client = await service.at([EHLO])
    client.send('MAIL FROM:<>\r\n')
    expect((await client.repliesToEnd(PATIENCE_MS * pace)).map(short)).toEqual(['421 4.4.2'])
  })
})

describe.concurrent('a session ends if the client', () => {
  paced('sends no ClientHello and each write waits', async (pace) => {
    const server = createServer({ hostname: 'mx.example.com', limits: { tlsHandshakeTimeoutMs: 100 * pace } })
    const [client, served] = pair({ highWaterMark: 0, startTls: true })
    const over = server.accept(served)
    await client.read()
    void client.write(Buffer.from('EHLO client.example\r\n'))
    await client.read()
    void client.write(Buffer.from('STARTTLS\r\n'))
    await new Promise((resolve) => setTimeout(resolve, 20 * pace))
    expect(Buffer.from((await client.read()) ?? []).toString()).toMatch(/^220 /)
    await over
    await server.close({ graceMs: 0 })
  })

  paced('sends no ClientHello', async (pace) => {
    const service = await start({ tlsHandshakeTimeoutMs: 200 * pace })
    const client = await service.at([EHLO, 'STARTTLS'])
    await client.closed(PATIENCE_MS * pace)
    await service.gone(client, PATIENCE_MS * pace)
  })

  paced('never finishes its handshake', async (pace) => {
    const service = await start({ tlsHandshakeTimeoutMs: 300 * pace })
    const client = await service.at([EHLO, 'STARTTLS'])
    for (const octet of Buffer.from('16030100c6010000c20303')) {
      client.send(Uint8Array.of(octet))
      if (!(await client.isQuiet(50 * pace))) break
    }
    await client.closed(PATIENCE_MS * pace)
    await service.gone(client, PATIENCE_MS * pace)
  })

  // The client gets 421 but never closes its side. The session must end nevertheless.
  paced('does not close after 421', async (pace) => {
    const service = await start({ idleTimeoutMs: 200 * pace })
    const client = await service.at([EHLO])
    await client.repliesToEnd(PATIENCE_MS * pace)
    await service.gone(client, PATIENCE_MS * pace)
    expect(service.server.sessionCount).toBe(0)
  })

  paced('does not close after 421 in a message', async (pace) => {
    const service = await start({ dataTimeoutMs: 200 * pace })
    const client = await service.at([...RCPT, 'DATA'])
    await client.repliesToEnd(PATIENCE_MS * pace)
    expect((await service.gone(client, PATIENCE_MS * pace)).events.slice(-2)).toEqual(['lost timeout', 'close'])
  })

  paced('does not read its replies', async (pace) => {
    const service = await start({ idleTimeoutMs: 500 * pace })
    const client = await service.at([EHLO])
    client.pause()
    // More replies than the buffers of both systems hold.
    const flood = Buffer.from('HELP\r\n'.repeat(100_000))
    for (let i = 0; i < 20; i++) client.send(flood)
    await eventually(() => service.server.sessionCount === 0, 'the session is over', 10_000 * pace)
  })
})
