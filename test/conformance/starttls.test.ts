/** STARTTLS: RFC 3207. Bytes in clear never count after the handshake (CVE-2011-0411 and similar ones). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'
import { deliveries } from './vector.ts'

let service: Service
beforeAll(async () => {
  service = await Service.start({ auth: 'always' })
})
afterAll(() => service.close())

const PLAIN = Buffer.from('\0alice\0secret').toString('base64')

async function secured(before: readonly string[] = []): Promise<SocketClient> {
  const client = await service.at(['EHLO client.example', ...before, 'STARTTLS'])
  await client.startTls()
  // The client finishes its handshake before the server does.
  await client.expectAll(['NOOP'])
  return client
}

describe('injection', () => {
  // All bytes behind the command are in clear, and may come from an attacker.
  const INJECTED: Readonly<Record<string, string>> = {
    'a command': 'NOOP\r\n',
    'half a command': 'MAIL FR',
    'one octet': 'x',
    'a line end': '\r\n',
    'a session': 'EHLO evil.example\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nx\r\n.\r\n',
    AUTH: `AUTH PLAIN ${PLAIN}\r\n`,
  }

  for (const [name, injected] of Object.entries(INJECTED)) {
    test(`${name} in the same packet is never run`, async () => {
      const client = await service.at(['EHLO client.example'])
      const { events } = service.record(client)
      const before = events.length
      client.send(`STARTTLS\r\n${injected}`)
      expect((await client.repliesToEnd()).map(short)).toEqual(['220 2.0.0'])
      await service.gone(client)
      expect(events.slice(before)).toEqual(['close'])
    })

    test(`${name} in the next packet is never run`, async () => {
      const client = await service.at(['EHLO client.example'])
      const { events } = service.record(client)
      const before = events.length
      await client.sendPieces(['STARTTLS\r\n', injected, injected])
      expect((await client.reply()).code).toBe(220)
      client.end()
      await client.closed()
      await service.gone(client)
      expect(events.slice(before)).toEqual(['close'])
    })
  }

  test('a command behind STARTTLS is never run, wherever the bytes are cut', async () => {
    const vector = 'STARTTLS\r\nMAIL FROM:<>\r\n'
    for (const [way, pieces] of deliveries(vector)) {
      const client = await service.at(['EHLO client.example'])
      const { events } = service.record(client)
      await client.sendPieces(pieces)
      client.end()
      // A TLS alert may follow, but no reply.
      expect((await client.reply()).raw, way).toMatch(/^220 2\.0\.0 /)
      await client.closed().catch(() => client.take())
      await service.gone(client)
      expect(events.slice(2), way).toEqual(['close'])
      client.close()
    }
  })

  test('commands that are pipelined before STARTTLS are run', async () => {
    const client = await service.client()
    client.send('EHLO client.example\r\nNOOP\r\nSTARTTLS\r\n')
    expect((await client.replies(3)).map(short)).toEqual(['250', '250 2.0.0', '220 2.0.0'])
    await client.startTls()
    expect(short(await client.command('EHLO client.example'))).toBe('250')
  })
})

describe('after the handshake', () => {
  test('MAIL before a new EHLO is out of order', async () => {
    const client = await secured()
    expect(service.record(client).session?.hello).toBeUndefined()
    client.send('MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nAUTH PLAIN\r\nNOOP\r\n')
    expect((await client.replies(5)).map(short)).toEqual([...Array<string>(4).fill('503 5.5.1'), '250 2.0.0'])
  })

  test('the client is not logged in any more', async () => {
    const client = await secured([`AUTH PLAIN ${PLAIN}`])
    const { session } = service.record(client)
    expect(session?.user).toBeUndefined()
    await client.expectAll(['EHLO client.example', `AUTH PLAIN ${PLAIN}`])
    expect(session?.user).toBe('alice')
  })

  test('the hooks are called, and the session is TLS', async () => {
    const client = await secured()
    await client.expectAll(['EHLO again.example', 'MAIL FROM:<a@example.org>'])
    const { session, events } = service.record(client)
    expect(events).toEqual([
      'connect',
      'hello EHLO client.example',
      expect.stringMatching(/^secure TLSv1\.[23]$/),
      'hello EHLO again.example',
      'mail <a@example.org>',
    ])
    expect(session?.tls?.protocol).toMatch(/^TLSv1\.[23]$/)
    expect(session?.hello?.name).toBe('again.example')
  })

  test('a second STARTTLS is refused', async () => {
    const client = await secured()
    const { lines } = await client.command('EHLO client.example')
    expect(lines).not.toContain('STARTTLS')
    expect(lines).toContain('AUTH PLAIN LOGIN')
    expect(short(await client.command('STARTTLS'))).toBe('503 5.5.1')
    expect(short(await client.command('MAIL FROM:<>'))).toBe('250 2.1.0')
  })

  test('bad commands before the handshake still count', async () => {
    const client = await service.at(['EHLO client.example'])
    for (let i = 0; i < 8; i++) await client.command('WHAT')
    await client.expectAll(['STARTTLS'])
    await client.startTls()
    client.send('WHAT\r\n'.repeat(4))
    const codes = (await client.repliesToEnd()).map(short)
    expect(codes.at(-1)).toBe('421 4.7.0')
    expect(codes.length).toBeLessThan(4)
  })
})

test('a message can be sent under TLS', async () => {
  const client = await secured()
  await client.expectAll(['EHLO client.example', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>', 'DATA'])
  await client.sendPieces(['hi\r\n', '.', '\r', '\n'])
  expect(short(await client.reply())).toBe('250 2.0.0')
  expect(service.record(client).kept[0]?.text).toBe('hi\r\n')
})

test('a client that sends no ClientHello is closed', async () => {
  const client = await service.at(['EHLO client.example', 'STARTTLS'])
  client.send('this is not TLS at all\r\nMAIL FROM:<>\r\n')
  await client.closed().catch(() => client.take())
  const { events, session } = await service.gone(client)
  expect(events).toEqual(['connect', 'hello EHLO client.example', 'close'])
  expect(session?.error).toBeDefined()
})

test('the session ends if the client leaves during the handshake', async () => {
  const client = await service.at(['EHLO client.example', 'STARTTLS'])
  client.send(Buffer.from('16030100', 'hex'))
  client.reset()
  await service.gone(client)
})

test('with implicit TLS the secure hook is called before the greeting', async () => {
  const implicit = await Service.start({ implicitTls: true })
  try {
    const client = await implicit.client()
    expect(
      implicit
        .record(client)
        .events.map((event) => event.split(' ')[0])
        .toSorted(),
    ).toEqual(['connect', 'secure'])
  } finally {
    await implicit.close()
  }
})
