/** What ends a wait: signals, timeouts, servers that leave between messages, and streams that fail. */
import { reply } from '@postern/engine'
import { type Client, ClientError, type ClientOptions, openClient } from '@postern/engine/client'
import { describe, expect, test } from 'vitest'
import { octets } from '../protocol.ts'
import { house } from './house.ts'
import { type Step, scripted } from './scripted.ts'

const GREET = '220 mx.example.com\r\n'
const EHLO: Step = { waitFor: 'EHLO client.example.com\r\n' }
const PLAIN = '250 mx.example.com\r\n'
const PIPELINING = '250-mx.example.com\r\n250 PIPELINING\r\n'
const CHUNKING = '250-mx.example.com\r\n250-PIPELINING\r\n250 CHUNKING\r\n'
const OK = '250 2.0.0 OK\r\n'
const ENVELOPE = { reversePath: 'a@x.example', forwardPaths: ['b@y.example'] }

async function errorOf(attempt: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof ClientError) return error
  throw new Error('there was no ClientError', { cause: error })
}

function open(script: readonly Step[], options: Partial<ClientOptions> = {}): Promise<Client> {
  return openClient(scripted(script).duplex, { hostname: 'client.example.com', ...options })
}

/** Lets everything that is ready run. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve))
}

describe('a signal', () => {
  test('ends the greeting', async () => {
    const controller = new AbortController()
    const opening = open([], { signal: controller.signal })
    controller.abort()
    expect(await errorOf(opening)).toMatchObject({ reason: 'aborted', stage: 'greeting' })
    expect(await errorOf(open([GREET], { signal: controller.signal }))).toMatchObject({ reason: 'aborted' })
  })

  test('does nothing after the client is open', async () => {
    const controller = new AbortController()
    const client = await open([GREET, EHLO, PLAIN, { waitFor: 'NOOP\r\n' }, OK], { signal: controller.signal })
    controller.abort()
    expect((await client.noop()).code).toBe(250)
    client.destroy()
  })

  test('ends a message that waits for a reply, and says if the server may have it', async () => {
    for (const [script, mayBeAccepted] of [
      [[GREET, EHLO, PIPELINING], false],
      [[GREET, EHLO, CHUNKING], true],
    ] as const) {
      const controller = new AbortController()
      const client = await open(script)
      const sending = client.send(ENVELOPE, 'x', { signal: controller.signal })
      await settled()
      controller.abort()
      expect(await errorOf(sending)).toMatchObject({ reason: 'aborted', stage: 'mail', mayBeAccepted })
      expect(client.isOpen).toBe(false)
    }
  })

  test('ends a message whose stream gives nothing', async () => {
    for (const offer of [PIPELINING, CHUNKING]) {
      const data: Step[] = offer === PIPELINING ? [{ waitFor: 'DATA\r\n' }, '354 Go on\r\n'] : []
      const client = await open([GREET, EHLO, offer, { waitFor: 'RCPT' }, OK + OK, ...data])
      const controller = new AbortController()
      let isCancelled = false
      const message = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) })
      const sending = client.send(ENVELOPE, message, { signal: controller.signal })
      await settled()
      controller.abort()
      expect(await errorOf(sending)).toMatchObject({ reason: 'aborted', mayBeAccepted: false })
      expect(isCancelled).toBe(true)
    }
  })

  test('that has ended already leaves the connection as it is', async () => {
    const { connect, arrived } = house()
    const client = await connect()
    const error = await errorOf(client.send(ENVELOPE, 'x', { signal: AbortSignal.abort() }))
    expect([error.reason, client.isOpen, arrived.length]).toEqual(['aborted', true, 0])
    client.destroy()
  })
})

describe('a stream', () => {
  test.each<[string, () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>]>([
    [
      'that fails',
      async function* () {
        yield octets('Subject: x\r\n')
        throw new Error('the disk is gone')
      },
    ],
    ['that gives text', () => ['Subject: x\r\n'] as unknown as Iterable<Uint8Array>],
  ])('%s ends the connection, so that no server takes half a message', async (_what, make) => {
    for (const disabled of [[], ['CHUNKING', 'BINARYMIME']]) {
      const { connect, arrived } = house({ disabled })
      const client = await connect()
      const error = await errorOf(client.send(ENVELOPE, make()))
      expect(error).toMatchObject({ reason: 'aborted', stage: 'message', mayBeAccepted: false })
      expect(error.message).toMatch(/^the message could not be read: /)
      expect([client.isOpen, arrived]).toEqual([false, []])
    }
  })

  test('is not touched if no recipient is accepted', async () => {
    const { connect } = house({ rcpt: () => reply(550, '5.1.1', 'Unknown') })
    const client = await connect()
    const message = new ReadableStream<Uint8Array>()
    const error = await errorOf(client.send(ENVELOPE, message))
    expect([error.reason, error.stage, message.locked]).toEqual(['refused', 'rcpt', false])
    client.destroy()
  })
})

test('a server whose reply comes octet by octet has one time for all of it', async () => {
  const opening = open(['220 ', { endlessly: 'x', slowly: true }], { timeouts: { greetingMs: 20 } })
  expect(await errorOf(opening)).toMatchObject({ reason: 'timeout', stage: 'greeting' })
})

test('a server that takes no bytes has a time', async () => {
  const go: readonly Step[] = [GREET, EHLO, PIPELINING, { waitFor: 'DATA\r\n' }, `${OK}${OK}354 Go on\r\n`]
  const { duplex } = scripted([...go, { sleep: true }], { highWaterMark: 100 })
  const client = await openClient(duplex, { hostname: 'client.example.com', timeouts: { blockMs: 5 } })
  expect(await errorOf(client.send(ENVELOPE, 'x'.repeat(1_000)))).toMatchObject({
    reason: 'timeout',
    mayBeAccepted: false,
  })
})

describe('between two messages', () => {
  test('a 421 closes the client at once', async () => {
    const client = await open([GREET, EHLO, PLAIN, { waitFor: 'NOOP\r\n' }, OK, '421 4.4.2 Idle\r\n', { act: 'end' }])
    await client.noop()
    await settled()
    expect(client.isOpen).toBe(false)
    expect(await errorOf(client.send(ENVELOPE, 'x'))).toMatchObject({ reason: 'closed', code: 421, isTemporary: true })
  })

  test('the end of the connection closes the client at once', async () => {
    const client = await open([GREET, EHLO, PLAIN, { waitFor: 'NOOP\r\n' }, OK, { act: 'end' }])
    await client.noop()
    await settled()
    expect(client.isOpen).toBe(false)
    expect(await errorOf(client.noop())).toMatchObject({ reason: 'closed' })
  })

  test('a reply to nothing is a fault', async () => {
    const client = await open([GREET, EHLO, PLAIN, { waitFor: 'NOOP\r\n' }, OK + OK])
    await client.noop()
    expect(await errorOf(client.send(ENVELOPE, 'x'))).toMatchObject({ reason: 'protocol' })
  })
})

test('a message that is too large for the server is refused before MAIL', async () => {
  const { connect, commands } = house({ limits: { maxMessageBytes: 5 } })
  const client = await connect()
  const error = await errorOf(client.send(ENVELOPE, 'four\n'))
  expect([error.reason, error.isTemporary, client.isOpen]).toEqual(['unsupported', false, true])
  expect(commands).toEqual(['EHLO client.example.com'])
  client.destroy()
})

test('a client that quits waits for no reply that does not come', async () => {
  const { duplex, received } = scripted([GREET, EHLO, PLAIN])
  const client = await openClient(duplex, { hostname: 'client.example.com', timeouts: { quitMs: 5 } })
  await client.quit()
  expect(client.isOpen).toBe(false)
  expect((await received).endsWith('QUIT\r\n')).toBe(true)
})

test.each([
  [{ hostname: 'not a name' }, 'hostname: "not a name" is not a domain or an address literal'],
  [{ protocol: 'esmtp' }, 'protocol: "esmtp" is not one of smtp, lmtp'],
  [{ startTls: 'maybe' }, 'startTls: "maybe" is not one of never, if-offered, required'],
  [{ timeouts: { mailMs: 0 } }, 'timeouts.mailMs: 0 is not a whole number from 1 to 2147483647'],
  [{ timeouts: { mailSeconds: 1 } }, 'timeouts.mailSeconds: 1 is not one of greetingMs, '],
  [{ limits: { maxReplyLines: 1.5 } }, 'limits.maxReplyLines: 1.5 is not a whole number'],
  [{ mechanisms: ['NTLM'] }, 'mechanisms: "NTLM" is not one of EXTERNAL'],
])('options %j are refused, and the connection is closed', async (options, message) => {
  const { duplex, received } = scripted([GREET])
  const opening = openClient(duplex, { hostname: 'client.example.com', ...options } as ClientOptions)
  await expect(opening).rejects.toThrow(TypeError)
  await expect(opening).rejects.toThrow(message)
  expect(await received).toBe('')
})
