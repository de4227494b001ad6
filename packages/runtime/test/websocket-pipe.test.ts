/** The frames that one end of a pipe sends to the other, and its reaction if the other end breaks the rules. */
import type { Duplex, Endpoint } from '@postern/engine'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readControl } from '../src/websocket/control.ts'
import { acceptPipe, Carriage, factsOf, webSocketDuplex, type WebSocketLike } from '../src/websocket/index.ts'
import { pair } from '../src/memory/index.ts'
import { ascii, readText } from './harness.ts'
import { sleep } from '../../../test/kit/waiting.ts'

const remote: Endpoint = { family: 'ipv4', address: '192.0.2.7', port: 4711 }
const local: Endpoint = { family: 'ipv4', address: '192.0.2.1', port: 25 }
const tls = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }
const FRAME = 32_768

/** A WebSocket with the test at its other end. */
class FakeSocket implements WebSocketLike {
  readyState = 1
  binaryType = 'blob'
  bufferedAmount = 0
  /** Text frames as JSON, binary ones as the number of their bytes. */
  readonly sent: unknown[] = []
  readonly closes: (number | undefined)[] = []
  readonly #listeners = new Map<string, ((event: unknown) => void)[]>()

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener as (event: unknown) => void])
  }

  send(data: string | Uint8Array): void {
    this.sent.push(typeof data === 'string' ? (JSON.parse(data) as unknown) : data.byteLength)
  }

  close(code?: number): void {
    this.closes.push(code)
    this.readyState = 2
  }

  emit(type: string, event: unknown = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event)
  }

  /** Delivers text, a message, or so many bytes from the peer. */
  receive(frame: string | object | number): void {
    if (frame instanceof Uint8Array) return this.emit('message', { data: frame.slice().buffer })
    if (typeof frame === 'number') return this.emit('message', { data: new ArrayBuffer(frame) })
    this.emit('message', { data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }

  /** Returns the frames that were sent since the last call. */
  take(): unknown[] {
    return this.sent.splice(0)
  }
}

function server(canStartTls = false): { socket: FakeSocket; duplex: Duplex } {
  const socket = new FakeSocket()
  return { socket, duplex: acceptPipe(socket, { remote, local, canStartTls, submission: false }, { lingerMs: 200 }) }
}

/** The front's end, and a fake client of the front whose TLS is simulated. */
function front(): { socket: FakeSocket; client: Duplex; over: Promise<Error | undefined>; handshakes: Uint8Array[] } {
  const socket = new FakeSocket()
  const handshakes: Uint8Array[] = []
  const [near, client] = pair({ lingerMs: 200, endpoints: [local, remote] })
  const accepted: Duplex = {
    read: () => near.read(),
    write: (bytes) => near.write(bytes),
    end: () => near.end(),
    destroy: (reason) => near.destroy(reason),
    remote: near.remote,
    local: near.local,
    startTls: async (first = new Uint8Array(0)) => {
      handshakes.push(first)
      if (first[1] !== 3) throw new Error('this is no handshake')
      return tls
    },
  }
  expect(factsOf(accepted)).toMatchObject({ remote, local, canStartTls: true, submission: false })
  return { socket, client, handshakes, over: new Carriage(accepted, socket, { lingerMs: 200 }).run() }
}

const settled = (): Promise<void> => sleep(20)

describe('flow control', () => {
  test('an end sends one window of frames, then nothing before the peer allows more', async () => {
    const socket = new FakeSocket()
    const duplex = webSocketDuplex(socket, { remote, local })
    const waiting = duplex.write(new Uint8Array(20 * FRAME + 5))
    expect(socket.take()).toEqual(Array.from({ length: 16 }, () => FRAME))
    socket.receive({ type: 'credit', frames: 18 })
    expect(socket.take()).toEqual([FRAME, FRAME])
    socket.receive({ type: 'credit', frames: 17 })
    expect(socket.take()).toEqual([])
    socket.receive({ type: 'credit', frames: 30 })
    expect(socket.take()).toEqual([FRAME, FRAME, 5])
    await waiting
  })

  test('a reader allows new frames for those it has read, half a window at a time', async () => {
    const socket = new FakeSocket()
    const duplex = webSocketDuplex(socket, { remote, local })
    for (let i = 0; i < 16; i++) socket.receive(1)
    for (let i = 0; i < 7; i++) await duplex.read()
    expect(socket.take()).toEqual([])
    await duplex.read()
    expect(socket.take()).toEqual([{ type: 'credit', frames: 24 }])
  })

  test('a server allows a front that may make a handshake one frame, then twice as many each time the client goes on', async () => {
    const { socket, duplex } = server(true)
    for (const frames of [1, 2, 4, 8, 16, 16]) {
      const reading = duplex.read()
      const [credit] = socket.take() as { frames: number }[]
      expect(credit).toMatchObject({ type: 'credit' })
      for (let i = 0; i < frames; i++) socket.receive(1)
      await reading
      for (let i = 1; i < frames; i++) await duplex.read()
      expect(socket.take()).toEqual([])
    }
    await duplex.write(ascii('250 OK\r\n'))
    void duplex.read()
    expect(socket.take()).toEqual([8, { type: 'credit', frames: 1 + 2 + 4 + 8 + 16 + 16 + 1 }])
    // A write during a read takes back the frames that the read had allowed.
    await duplex.write(ascii('421\r\n'))
    expect(socket.take()).toEqual([5, { type: 'credit', frames: 48 }])
  })

  test('a front does not use its allowance after the server has sent a frame', async () => {
    const { socket, client } = front()
    await client.write(ascii('EHLO a\r\n'))
    await settled()
    expect(socket.take()).toEqual([])
    socket.receive({ type: 'credit', frames: 5 })
    expect(socket.take()).toEqual([8])
    socket.receive(ascii('220\r\n'))
    await client.write(ascii('MAIL\r\n'))
    await settled()
    expect(socket.take()).toEqual([])
    socket.receive({ type: 'credit', frames: 2 })
    expect(socket.take()).toEqual([6])
  })
})

describe('STARTTLS', () => {
  test('the server asks, the front answers, and from then on frames flow', async () => {
    const { socket, duplex } = server(true)
    const handshake = duplex.startTls?.()
    expect(socket.take()).toEqual([{ type: 'startTls' }])
    socket.receive({ type: 'tls', tls })
    expect(await handshake).toEqual(tls)
    expect([duplex.tls, duplex.startTls]).toEqual([tls, undefined])
    expect(socket.take()).toEqual([{ type: 'credit', frames: 16 }])
  })

  test('the server refuses and counts the bytes that the client sent before it', async () => {
    const { socket, duplex } = server(true)
    // The second read allows two frames. It gets one, and no read gets the other.
    for (let i = 0; i < 2; i++) {
      const reading = duplex.read()
      socket.receive(10)
      await reading
    }
    socket.receive(7)
    await expect(duplex.startTls?.()).rejects.toMatchObject({ name: 'EarlyBytesError', byteLength: 7 })
    const next = duplex.read()
    socket.receive(ascii('QUIT'))
    expect(await next).toEqual(ascii('QUIT'))
    expect(socket.closes).toEqual([])
  })

  test('bytes that the front still held are refused and counted, and the connection goes on in clear', async () => {
    const { socket, client, handshakes } = front()
    await client.write(ascii('EHLO injected\r\n'))
    await settled()
    socket.receive({ type: 'startTls' })
    await settled()
    expect(socket.take()).toEqual([{ type: 'early', byteLength: 15 }])
    socket.receive({ type: 'credit', frames: 1 })
    await client.write(ascii('QUIT\r\n'))
    await settled()
    expect([socket.take(), handshakes]).toEqual([[6], []])
  })

  test('bytes that a quick client sends after the reply go into the handshake, never to the server', async () => {
    const { socket, client, handshakes } = front()
    socket.receive({ type: 'credit', frames: 9 })
    socket.receive(ascii('220 Ready\r\n'))
    expect(await readText(client)).toBe('220 Ready\r\n')
    await client.write(Uint8Array.of(22, 3, 1))
    await settled()
    expect(socket.take()).toEqual([])
    socket.receive({ type: 'startTls' })
    await settled()
    expect([socket.take(), handshakes]).toEqual([[{ type: 'tls', tls }], [Uint8Array.of(22, 3, 1)]])
  })

  test('the client gets the reply before the handshake begins', async () => {
    const { socket, client, handshakes } = front()
    socket.receive(ascii('220 Ready\r\n'))
    socket.receive({ type: 'startTls' })
    expect(await readText(client)).toBe('220 Ready\r\n')
    await client.write(Uint8Array.of(22, 3, 1))
    await settled()
    expect([socket.take(), handshakes.length]).toEqual([[{ type: 'tls', tls }], 1])
  })

  test('a failed handshake ends the connection, and the server gets the reason', async () => {
    const { socket, client } = front()
    socket.receive({ type: 'startTls' })
    await client.write(Uint8Array.of(22, 9))
    await settled()
    expect(socket.take()).toEqual([{ type: 'tlsFailed', reason: 'this is no handshake' }])

    const { socket: at, duplex } = server(true)
    const handshake = duplex.startTls?.()
    at.receive({ type: 'tlsFailed', reason: 'this is no handshake' })
    await expect(handshake).rejects.toThrow('this is no handshake')
    expect(at.closes).toEqual([4000])
  })

  test('the handshake fails if the client leaves instead', async () => {
    const { socket, client } = front()
    socket.receive({ type: 'startTls' })
    void client.end()
    await settled()
    expect(socket.take()).toContainEqual({ type: 'tlsFailed', reason: 'the client ended the connection' })
  })

  test('the server rejects a front that makes a handshake after it has sent earlier bytes', async () => {
    const { socket, duplex } = server(true)
    const reading = duplex.read()
    socket.receive(1)
    await reading
    const again = duplex.read()
    socket.receive(1)
    await again
    const handshake = duplex.startTls?.()
    socket.receive(5)
    socket.receive({ type: 'tls', tls })
    await expect(handshake).rejects.toMatchObject({ name: 'EarlyBytesError', byteLength: 5 })
    expect(duplex.tls).toBeUndefined()
    expect(socket.closes).toEqual([4000])
  })
})

/** Frames that a correct peer never sends. */
const lies: readonly [string, (string | object | number)[]][] = [
  ['a frame that is too long', [FRAME + 1]],
  ['an empty frame', [0]],
  ['text that is not JSON', ['hello']],
  ['JSON that is not a message', ['null']],
  ['a list', ['[]']],
  ['an unknown message', [{ type: 'exec' }]],
  ['a message with a field too many', [{ type: 'end', now: true }]],
  ['credit that is not a number', [{ type: 'credit', frames: '9' }]],
  ['credit that is negative', [{ type: 'credit', frames: -1 }]],
  ['more credit than a window', [{ type: 'credit', frames: 17 }]],
  ['infinite credit', ['{"type":"credit","frames":1e999}']],
  ['a message that is too long', [`{"type":"end"${' '.repeat(8_192)}}`]],
  ['TLS without a request for it', [{ type: 'tls', tls }]],
  ['early bytes without a request for a handshake', [{ type: 'early', byteLength: 1 }]],
  ['a failure without a request for a handshake', [{ type: 'tlsFailed', reason: '' }]],
  ['a request for a handshake to the wrong end', [{ type: 'startTls' }]],
  ['bytes after the end', [{ type: 'end' }, 1]],
]

describe('a peer is cut off when it sends', () => {
  test.each(lies)('%s', async (_, frames) => {
    for (const { socket, duplex } of [server(false), server(true)]) {
      const reading = duplex.read()
      for (const frame of frames) socket.receive(frame)
      expect(socket.closes).toEqual([4000])
      if (frames.length > 1) expect(await reading).toBeNull()
      else await expect(reading).rejects.toThrow(/^the other end of the pipe sent /)
      await expect(duplex.write(ascii('x'))).rejects.toThrow()
    }
  })

  test('more frames than it was allowed to send', async () => {
    const { socket, duplex } = server(false)
    for (let i = 0; i < 16; i++) socket.receive(FRAME)
    expect(socket.closes).toEqual([])
    socket.receive(1)
    expect(socket.closes).toEqual([4000])
    await expect(duplex.read()).rejects.toThrow('more than is allowed')
  })

  test('a frame before the server asked for one, while a handshake is possible', async () => {
    const { socket } = server(true)
    socket.receive(1)
    expect(socket.closes).toEqual([4000])
  })

  test('malformed facts about TLS', async () => {
    const { socket, duplex } = server(true)
    const handshake = duplex.startTls?.()
    socket.receive({ type: 'tls', tls: { protocol: 'TLSv1.3\r\nX: y', cipher: '' } })
    await expect(handshake).rejects.toThrow('a text frame that is not a message')
  })

  test('startTls twice, or without a front that can make a handshake', async () => {
    const { socket, client, over } = front()
    socket.receive({ type: 'startTls' })
    await client.write(Uint8Array.of(22, 3))
    await settled()
    socket.receive({ type: 'startTls' })
    expect(socket.closes).toEqual([4000])
    expect((await over)?.message).toBe('the other end of the pipe sent startTls, which this connection does not have')
  })

  test('startTls again while the first handshake is pending', async () => {
    const { socket, over } = front()
    socket.receive({ type: 'startTls' })
    await settled()
    socket.receive({ type: 'startTls' })
    expect(socket.closes).toEqual([4000])
    expect((await over)?.message).toContain('startTls, which this connection does not have')
  })

  test('frames after startTls, and the client gets none of them', async () => {
    const { socket, client, over } = front()
    socket.receive({ type: 'startTls' })
    await settled()
    const reading = client.read()
    socket.receive(ascii('250 OK\r\n'))
    expect(socket.closes).toEqual([4000])
    await expect(reading).rejects.toThrow()
    expect((await over)?.message).toContain('a frame that is not allowed now')
  })

  test('allowances for more frames while it takes none', async () => {
    const socket = new FakeSocket()
    const duplex = webSocketDuplex(socket, { remote, local })
    socket.bufferedAmount = 3 * 1_048_576
    await expect(duplex.write(ascii('x'))).rejects.toThrow('the other end of the pipe does not read')
    expect(socket.closes).toEqual([4000])
  })
})

describe('the end', () => {
  test('both ends send it, then close', async () => {
    const { socket, duplex } = server()
    const ended = duplex.end()
    expect([socket.take(), socket.closes]).toEqual([[{ type: 'end' }], []])
    socket.receive({ type: 'end' })
    expect(socket.closes).toEqual([1000])
    socket.emit('close')
    await ended
  })

  test('an end does not wait for a peer that does not answer the close', async () => {
    const { socket, duplex } = server()
    socket.receive({ type: 'end' })
    await duplex.end()
    expect(socket.closes).toEqual([1000, 4000])
  })

  test('a close without an end is a reset', async () => {
    const { socket, duplex } = server()
    const reading = duplex.read()
    socket.emit('close')
    await expect(reading).rejects.toThrow('closed')
  })

  test("a client that has sent all waits for the server's answer without a limit", async () => {
    const { socket, client, over } = front()
    void client.end()
    await sleep(500)
    expect([socket.take(), socket.closes]).toEqual([[{ type: 'end' }], []])
    socket.receive({ type: 'end' })
    socket.emit('close')
    expect(await over).toBeUndefined()
  })

  test('a reset of the client resets the pipe, and a reset of the pipe resets the client', async () => {
    const { socket, client, over } = front()
    client.destroy()
    await over
    expect(socket.closes).toEqual([4000])

    const other = front()
    const reading = other.client.read()
    other.socket.emit('close')
    await expect(reading).rejects.toThrow()
    expect(await other.over).toBeInstanceOf(Error)
  })
})

test('any message is parsed to its meaning or rejected', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const control = readControl(text)
      if (control !== undefined) expect(control).toEqual(JSON.parse(text))
    }),
  )
})
