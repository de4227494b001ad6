/** The `email` handler with messages that Email Routing should never pass to it. */
import { createServer, type Envelope, type Server, type ServerOptions } from '@postern/engine'
import { describe, expect, test } from 'vitest'
import { type RoutedEmail, takeEmail } from '../src/email.ts'

type Chunk = { done: boolean; value?: Uint8Array }

/** Gives the chunks, then the result of `last`. */
function raw(chunks: readonly string[], last: () => Promise<Chunk> = async () => ({ done: true })) {
  const left = chunks.map((chunk) => new TextEncoder().encode(chunk))
  let stop: ((chunk: Chunk) => void) | undefined
  const reader = {
    isCancelled: false,
    read(): Promise<Chunk> {
      const value = left.shift()
      if (value !== undefined) return Promise.resolve({ done: false, value })
      return Promise.race([last(), new Promise<Chunk>((resolve) => (stop = resolve))])
    },
    async cancel() {
      reader.isCancelled = true
      stop?.({ done: true })
    },
  }
  return { reader, getReader: () => reader }
}

function email(text: string, more: Partial<RoutedEmail> = {}): RoutedEmail {
  return { from: 'ann@sender.example', to: 'bob@example.com', raw: raw([text]), rawSize: text.length, ...more }
}

/** Makes an engine that records what it gets. */
function engine(options: Partial<ServerOptions> = {}) {
  const kept: { text: string; envelope: Envelope }[] = []
  const errors: unknown[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    error: (error) => void errors.push(error),
    async data(message) {
      const text = new TextDecoder().decode(await message.bytes())
      kept.push({ text, envelope: message.envelope })
    },
    ...options,
  })
  return { server, kept, errors }
}

describe('email()', () => {
  test.each([
    ['line ends that SMTP would refuse in DATA', 'A: b\nC\rd\r\n\nx'],
    ['octets that are not text', 'A: b\r\n\r\n\0\u00e4'],
    ['no bytes', ''],
  ])('stores the bytes unchanged: %s', async (_, text) => {
    const { server, kept, errors } = engine()
    const rawSize = new TextEncoder().encode(text).length
    expect((await takeEmail(server, email(text, { rawSize }))).code).toBe(250)
    expect(kept.map((message) => message.text)).toEqual([text])
    expect([errors, server.sessionCount]).toEqual([[], 0])
  })

  test.each([
    ['', ''],
    ['<>', ''],
    ['\u00e4nn@sender.example', '\u00e4nn@sender.example'],
    ['"a> b"@sender.example', '"a> b"@sender.example'],
    ['a..b.@sender.example', 'a..b.@sender.example'],
  ])('keeps the reverse-path %j', async (from, address) => {
    const { server, kept } = engine()
    expect((await takeEmail(server, email('x', { from }))).code).toBe(250)
    expect(kept[0]?.envelope.reversePath.address).toBe(address)
  })

  test('accepts an untidy recipient that Cloudflare has accepted, and keeps it as written', async () => {
    const { server, kept } = engine()
    expect((await takeEmail(server, email('x', { to: '.b..ob.@example.com' }))).code).toBe(250)
    expect(kept[0]?.envelope.forwardPaths[0]?.address).toBe('.b..ob.@example.com')
  })

  test.each([
    ['a parameter behind the path', 'ann@sender.example> ENVID=abc'],
    ['a parameter, in a path that begins with a quote', '"ann"@sender.example> ENVID=abc'],
    ['an unclosed quote', '"ann> ENVID=abc'],
    ['a quote in the wrong place', 'ann"> ENVID="@sender.example'],
    ['a second path', 'ann@sender.example><eve@sender.example'],
    ['a second command', 'ann@sender.example>\r\nRSET'],
  ])('refuses an address that has %s', async (_, address) => {
    const { server, kept } = engine()
    expect((await takeEmail(server, email('x', { from: address }))).code).toBeGreaterThanOrEqual(500)
    expect((await takeEmail(server, email('x', { to: address }))).code).toBeGreaterThanOrEqual(500)
    expect(kept).toEqual([])
  })

  test.each([
    ['fewer bytes than it declared', () => email('x', { rawSize: 2 })],
    ['more bytes than it declared', () => email('xyz', { rawSize: 2 })],
    ['a stream that breaks', () => email('x', { raw: raw(['x'], () => Promise.reject(new Error('broken'))) })],
  ])('keeps nothing if the message has %s', async (_, make) => {
    const { server, kept } = engine()
    const given = make()
    await expect(takeEmail(server, given)).rejects.toThrow(/bytes of the message arrived|broken/)
    expect([kept, server.sessionCount]).toEqual([[], 0])
    expect((given.raw.getReader() as { isCancelled?: boolean }).isCancelled).toBe(true)
  })

  test("gives up a stream that sends nothing until the engine's timeout", async () => {
    const { server, kept } = engine({ limits: { dataTimeoutMs: 50 } })
    const given = email('xy', { raw: raw(['x'], () => new Promise(() => {})) })
    await expect(takeEmail(server, given)).rejects.toThrow()
    expect([kept, server.sessionCount]).toEqual([[], 0])
  })

  test('keeps the message if the connection breaks after the answer', async () => {
    // If the message were sent again, it would be stored twice.
    const server: Server = {
      ...engine().server,
      async accept(duplex) {
        await duplex.write(ascii('220 mx.example.com\r\n'))
        for (let replies = 0, text = ''; replies < 5;) {
          text += new TextDecoder().decode((await duplex.read()) ?? undefined)
          const isLast = text.includes('LAST\r\n')
          if (!text.endsWith('\r\n') && !text.endsWith('\r\nx')) continue
          text = ''
          replies++
          await duplex.write(ascii(isLast ? '250 2.0.0 OK queued\r\n' : '250 2.0.0 OK\r\n'))
        }
        duplex.destroy()
      },
    }
    expect(await takeEmail(server, email('x'))).toEqual({ code: 250, text: '2.0.0 OK queued' })
  })
})

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
