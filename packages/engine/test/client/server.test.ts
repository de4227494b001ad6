/** The client against the engine's own server, in memory. */
import { reply, type ServerOptions } from '@postern/engine'
import { type Client, ClientError, type OutgoingMessage } from '@postern/engine/client'
import { describe, expect, test } from 'vitest'
import { octets } from '../protocol.ts'
import { counted, cutAt, house, type Link, turns } from './house.ts'

const ENVELOPE = { reversePath: 'a@client.example.com', forwardPaths: ['b@mx.example.com', 'c@mx.example.com'] }
const MESSAGE = 'Subject: x\n\n.\n..two\nlast'
const ARRIVED = {
  from: ENVELOPE.reversePath,
  to: ENVELOPE.forwardPaths,
  text: 'Subject: x\r\n\r\n.\r\n..two\r\nlast\r\n',
}

/** What a server may not offer, and so each way in which a message is sent. */
const WAYS: readonly (readonly [string, readonly string[]])[] = [
  ['with all that the server offers', []],
  ['without PIPELINING', ['PIPELINING']],
  ['without CHUNKING', ['CHUNKING', 'BINARYMIME']],
  ['without both', ['PIPELINING', 'CHUNKING', 'BINARYMIME']],
]

/** Each form that a message may have. */
const FORMS: readonly (readonly [string, (text: string) => OutgoingMessage])[] = [
  ['text', (text) => text],
  ['bytes', (text) => octets(text)],
  ['a list of pieces', (text) => Array.from(text, octets)],
  ['an async generator', (text) => generate(text)],
  ['a Web stream', (text) => new Blob([text]).stream()],
]

async function* generate(text: string): AsyncGenerator<Uint8Array> {
  for (const character of text) yield octets(character)
}

describe.each(WAYS)('%s', (_, disabled) => {
  test.each(FORMS)('%s arrives with CRLF, and with dots at the start of lines', async (_form, form) => {
    const { arrived, connect } = house({ disabled })
    const client = await connect()
    const { recipients } = await client.send(ENVELOPE, form(MESSAGE))
    await client.send(ENVELOPE, form(''))
    await client.quit()
    expect(recipients.map(({ isAccepted, stage }) => [isAccepted, stage])).toEqual([
      [true, 'final'],
      [true, 'final'],
    ])
    expect(arrived).toEqual([ARRIVED, { ...ARRIVED, text: '' }])
  })

  test.each([
    ['bytes', (text: string) => octets(text)],
    ['a stream', (text: string) => new Blob([text]).stream()],
  ])('%s of 300,000 octets arrive whole, and their progress is told', async (_form, form) => {
    const { arrived, connect } = house({ disabled })
    const client = await connect({}, { highWaterMark: 1_000 })
    const text = `${'.'.repeat(74)}\r\n`.repeat(4_000)
    let last = 0
    await client.send(ENVELOPE, form(text), { onProgress: (sent) => (last = sent) })
    expect(arrived[0]?.text).toBe(text)
    expect(last).toBe(text.length)
    client.destroy()
  })

  test('a stream whose server answers chunks while it waits arrives whole', async () => {
    const { arrived, connect } = house({ disabled })
    const client = await connect()
    const piece = octets('x'.repeat(40_000))
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 8; i++) {
        yield piece.fill(97 + i)
        await new Promise((resolve) => void setTimeout(resolve))
      }
    }
    await client.send(ENVELOPE, slow())
    const letters = Array.from('abcdefgh', (letter) => letter.repeat(40_000))
    expect(arrived[0]?.text === `${letters.join('')}\r\n`).toBe(true)
    client.destroy()
  })

  test('one recipient is refused, and the other has the message', async () => {
    const rcpt: ServerOptions['rcpt'] = ({ address }) =>
      address === 'b@mx.example.com' ? reply(550, '5.1.1', 'Unknown') : undefined
    const { arrived, connect } = house({ disabled, rcpt })
    const client = await connect()
    const { recipients } = await client.send(ENVELOPE, MESSAGE)
    client.destroy()
    expect(recipients.map((each) => [each.address, each.isAccepted, each.reply.enhancedCode])).toEqual([
      ['b@mx.example.com', false, '5.1.1'],
      ['c@mx.example.com', true, '2.0.0'],
    ])
    expect(arrived.map(({ to }) => to)).toEqual([['c@mx.example.com']])
  })

  test('the next message goes through after one that nobody was there for, or that was refused', async () => {
    let isRefusing = true
    const { arrived, connect } = house({
      disabled,
      rcpt: ({ address }) => (address.startsWith('x') ? reply(550, '5.1.1', 'Unknown') : undefined),
      mail: ({ address }) => (address.startsWith('x') && isRefusing ? reply(550, '5.7.1', 'No') : undefined),
    })
    const client = await connect()
    const nobody = await fails(client, { ...ENVELOPE, forwardPaths: ['x@mx.example.com'] })
    expect([nobody.reason, nobody.stage, nobody.code, client.isOpen]).toEqual(['refused', 'rcpt', 550, true])
    const refused = await fails(client, { ...ENVELOPE, reversePath: 'x@client.example.com' })
    expect([refused.reason, refused.stage, refused.code, client.isOpen]).toEqual(['refused', 'mail', 550, true])
    isRefusing = false
    await client.send(ENVELOPE, MESSAGE)
    client.destroy()
    expect(arrived).toEqual([ARRIVED])
  })

  test('each recipient of LMTP has a reply', async () => {
    const data: ServerOptions['data'] = async (message) => {
      for await (const _chunk of message.body);
      return [reply(452, '4.2.2', 'Full'), reply(250, '2.1.5', 'Kept')]
    }
    const { connect } = house({ disabled, data })
    const client = await connect({ protocol: 'lmtp' }, { overrides: { protocol: 'lmtp' } })
    for (const [, form] of FORMS) {
      const { recipients, reply: first } = await client.send(ENVELOPE, form(MESSAGE))
      expect(recipients.map((each) => [each.isAccepted, each.reply.enhancedCode])).toEqual([
        [false, '4.2.2'],
        [true, '2.1.5'],
      ])
      expect(first.enhancedCode).toBe('2.1.5')
    }
    client.destroy()
  })

  test('2,000 recipients each have a reply, with a connection that holds 100 octets', async () => {
    const { arrived, connect } = house({ disabled, limits: { maxRecipients: 1_000 } })
    const client = await connect({}, { highWaterMark: 100 })
    const forwardPaths = Array.from({ length: 2_000 }, (_each, index) => `r${index}@mx.example.com`)
    const { recipients } = await client.send({ ...ENVELOPE, forwardPaths }, MESSAGE)
    client.destroy()
    expect(recipients.map(({ address }) => address)).toEqual(forwardPaths)
    expect(recipients.filter(({ isAccepted }) => isAccepted)).toHaveLength(1_000)
    expect(arrived[0]?.to).toEqual(forwardPaths.slice(0, 1_000))
  })

  test('no split of the bytes in either direction changes what arrives', async () => {
    let sent = 0
    let received = 0
    const link: Link = {
      client: (duplex) => counted(duplex, (octets) => (received += octets)),
      server: (duplex) => counted(duplex, (octets) => (sent += octets)),
    }
    await arrives(link)
    expect(sent).toBeGreaterThan(150)
    expect(received).toBeGreaterThan(150)
    for (let at = 1; at < received; at++) await arrives({ client: (duplex) => cutAt(duplex, at) })
    for (let at = 1; at < sent; at++) await arrives({ server: (duplex) => cutAt(duplex, at) })
    for (const chunkBytes of [1, 2, 3, 7]) {
      await arrives({ chunkBytes })
      await arrives({ chunkBytes, overrides: { protocol: 'lmtp' } })
    }
  })

  async function arrives(link: Link): Promise<void> {
    const { arrived, connect } = house({ disabled })
    const client = await connect({ protocol: link.overrides?.protocol ?? 'smtp' }, link)
    await client.send(ENVELOPE, MESSAGE)
    await client.quit()
    expect(arrived).toEqual([ARRIVED])
  }
})

async function fails(client: Client, envelope: typeof ENVELOPE): Promise<ClientError> {
  const error: unknown = await client.send(envelope, MESSAGE).catch((reason: unknown) => reason)
  if (error instanceof ClientError) return error
  throw new Error('the message was not refused', { cause: error })
}

test.each([
  ['all at once', 'with CHUNKING', [], MESSAGE, 1],
  ['the commands, then a long message', 'with CHUNKING', [], 'x'.repeat(70_000), 2],
  ['the commands, then the message', 'without CHUNKING', ['CHUNKING', 'BINARYMIME'], MESSAGE, 2],
  ['one command at a time', 'without PIPELINING and CHUNKING', ['PIPELINING', 'CHUNKING', 'BINARYMIME'], MESSAGE, 5],
])('the client sends %s %s', async (_what, _how, disabled, message, roundTrips) => {
  let count = 0
  const { connect } = house({ disabled })
  const client = await connect({}, { client: (duplex) => turns(duplex, () => count++) })
  count = 0
  await client.send(ENVELOPE, message)
  expect(count).toBe(roundTrips)
  client.destroy()
})

test('commands that need no message have their replies', async () => {
  const { connect, commands } = house({ verify: () => reply(250, '2.1.5', 'Alice <alice@mx.example.com>') })
  const client = await connect()
  const codes = [
    await client.verify('alice'),
    await client.verify('\u00e4lice'),
    await client.expand('list'),
    await client.help(),
    await client.help('MAIL'),
    await client.noop(),
    await client.reset(),
    await client.command('UNKNOWN x'),
  ].map(({ code }) => code)
  expect(codes).toEqual([250, 250, 502, 214, 214, 250, 250, 500])
  await expect(client.command('NOOP\r\nQUIT')).rejects.toThrow(TypeError)
  await client.quit()
  expect(client.isOpen).toBe(false)
  expect(commands.slice(1, 4)).toEqual(['VRFY alice', 'VRFY ?lice SMTPUTF8', 'EXPN list'])
  await expect(client.noop()).rejects.toMatchObject({ reason: 'closed' })
})

test('what the server says of itself is read', async () => {
  const { connect } = house({ limits: { maxMessageBytes: 1_234 }, helloText: 'at your service' })
  const client = await connect()
  expect(client.server).toMatchObject({ name: 'mx.example.com', isEsmtp: true, maxMessageBytes: 1_234 })
  expect(client.server.greeting.code).toBe(220)
  expect(client.server.extensions.get('SIZE')).toEqual(['1234'])
  expect(client.server.extensions.has('PIPELINING')).toBe(true)
  client.destroy()
})

test('calls wait for one another', async () => {
  const { arrived, connect } = house()
  const client = await connect()
  await Promise.all([client.send(ENVELOPE, MESSAGE), client.noop(), client.send(ENVELOPE, MESSAGE), client.quit()])
  expect(arrived).toEqual([ARRIVED, ARRIVED])
})

test('a transaction that a command began is given up before the next message', async () => {
  const { arrived, connect } = house()
  const client = await connect()
  await client.command('MAIL FROM:<other@client.example.com>')
  await client.send(ENVELOPE, MESSAGE)
  client.destroy()
  expect(arrived).toEqual([ARRIVED])
})
