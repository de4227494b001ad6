/** Stopping: idle sessions get 421, unfinished messages may finish, and the server waits no longer than its grace period. */
import { afterEach, describe, expect, test } from 'vitest'
import { createServer, type Message } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
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

const EHLO = 'EHLO client.example'
const RCPT = [EHLO, 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']

describe('idle sessions', () => {
  test.each([
    ['after the greeting', []],
    ['after EHLO', [EHLO]],
    ['in a transaction without a message', RCPT],
    ['in AUTH', [EHLO, 'AUTH LOGIN']],
  ])('get 421 %s', async (_, lines) => {
    const service = await start({ auth: 'always' })
    const client = await service.at(lines)
    const closed = service.server.close()
    expect((await client.repliesToEnd()).map(short)).toEqual(['421 4.3.2'])
    client.close()
    await closed
    expect(service.record(client).events.at(-1)).toBe('close')
  })

  test('get 421 under TLS', async () => {
    const service = await start()
    const client = await service.at([EHLO, 'STARTTLS'])
    await client.startTls()
    await client.expectAll([EHLO])
    void service.server.close()
    expect((await client.repliesToEnd()).map(short)).toEqual(['421 4.3.2'])
  })
})

describe('unfinished messages', () => {
  test('finish if they come by DATA', async () => {
    const service = await start()
    const client = await service.at([...RCPT, 'DATA'])
    client.send('half\r\n')
    const closed = service.server.close()
    expect(await client.isQuiet(100)).toBe(true)
    client.send('whole\r\n.\r\n')
    expect((await client.repliesToEnd()).map(short)).toEqual(['250 2.0.0', '421 4.3.2'])
    client.close()
    await closed
    expect(service.record(client).kept.map(({ text }) => text)).toEqual(['half\r\nwhole\r\n'])
  })

  test('finish if they come by BDAT', async () => {
    const service = await start()
    const client = await service.at(RCPT)
    client.send('BDAT 6\r\nhalf\r\n')
    await client.reply()
    const closed = service.server.close()
    expect(await client.isQuiet(100)).toBe(true)
    client.send('BDAT 2 LAST\r\nhi')
    expect((await client.repliesToEnd()).map(short)).toEqual(['250 2.0.0', '421 4.3.2'])
    client.close()
    await closed
    expect(service.record(client).kept.map(({ text }) => text)).toEqual(['half\r\nhi'])
  })

  test('finish if the hook still stores them', async () => {
    let go: (() => void) | undefined
    const going = new Promise<void>((resolve) => {
      go = resolve
    })
    const service = await start(
      {},
      {
        handlers: {
          async data(message) {
            await message.bytes()
            await going
          },
        },
      },
    )
    const client = await service.at([...RCPT, 'DATA'])
    client.send('hi\r\n.\r\n')
    const closed = service.server.close()
    expect(await client.isQuiet(100)).toBe(true)
    go?.()
    expect((await client.repliesToEnd()).map(short)).toEqual(['250 2.0.0', '421 4.3.2'])
    client.close()
    await closed
  })
})

test('a command gets its reply if its hook still runs when the server stops', async () => {
  const service = await start({}, { handlers: { mail: () => new Promise((resolve) => setTimeout(resolve, 100)) } })
  const client = await service.at([EHLO])
  client.send('MAIL FROM:<a@example.org>\r\n')
  await new Promise((resolve) => setTimeout(resolve, 20))
  void service.server.close()
  expect((await client.repliesToEnd()).map(short)).toEqual(['250 2.1.0', '421 4.3.2'])
})

test('a session sends a pending reply before it ends when the server stops', async () => {
  const server = createServer({ hostname: 'mx.example.com' })
  const [client, served] = pair({ highWaterMark: 0 })
  const over = server.accept(served)
  await new Promise((resolve) => setTimeout(resolve, 20))
  const closed = server.close({ graceMs: 2_000 })
  const codes: string[] = []
  for (let bytes = await client.read(); bytes !== null; bytes = await client.read()) {
    codes.push(Buffer.from(bytes).toString().slice(0, 9))
  }
  await client.end()
  await Promise.all([over, closed])
  expect(codes).toEqual(['220 mx.ex', '421 4.3.2'])
})

test('new connections are refused when the server stops', async () => {
  const service = await start()
  const busy = await service.at([...RCPT, 'DATA'])
  void service.server.close()
  const late = await service.connect()
  expect((await late.repliesToEnd()).map(short)).toEqual(['421 4.3.2'])
  busy.send('hi\r\n.\r\n')
  expect(short(await busy.reply())).toBe('250 2.0.0')
})

describe('the end of the grace period', () => {
  test.each([
    ['a client in its message', {}],
    [
      'a hook that never answers',
      {
        async data(message: Message) {
          await message.read()
          await new Promise(() => {})
        },
      },
    ],
  ])('closes a session with %s', async (_, handlers) => {
    const service = await start({}, { handlers })
    const client = await service.at([...RCPT, 'DATA'])
    client.send('half\r\n')
    const before = Date.now()
    await service.server.close({ graceMs: 200 })
    expect(Date.now() - before).toBeGreaterThan(150)
    expect(Date.now() - before).toBeLessThan(3_000)
    expect(service.server.sessionCount).toBe(0)
    const codes = (await client.repliesToEnd().catch(() => [])).map(short)
    expect(codes).not.toContain('250 2.0.0')
  })

  test('a second call of close has no further effect', async () => {
    const service = await start()
    await service.at([EHLO])
    await Promise.all([service.server.close({ graceMs: 100 }), service.server.close()])
    expect(service.server.sessionCount).toBe(0)
  })
})
