/** Failed STARTTLS, with a fake socket, because a test cannot control a handshake in workerd. */
import { expect, test } from 'vitest'
import { openDuplex } from '../src/cloudflare/duplex.ts'

type Socket = Parameters<typeof openDuplex>[0]

/** Makes a fake socket. @param opened Resolves when it opens. @param upgraded The socket that STARTTLS returns. */
function socket(secureTransport: 'starttls' | 'on', opened: Promise<unknown>, upgraded?: Socket): Socket {
  const { readable, writable } = new TransformStream()
  const closed = new Promise<never>(() => {})
  const made = { readable, writable, secureTransport, opened, closed, startTls: () => upgraded, close: async () => {} }
  return made as unknown as Socket
}

test.each([
  ['fails', () => Promise.reject(new Error('no TLS')), 'no TLS'],
  ['never ends and is abandoned', () => new Promise<never>(() => {}), 'given up'],
])('if the handshake %s, each pending call rejects', async (_, handshake, reason) => {
  const secured = handshake()
  secured.catch(() => {})
  const clear = socket('starttls', Promise.resolve({}), socket('on', secured))
  const duplex = await openDuplex(clear, {})
  const securing = duplex.startTls?.()
  setTimeout(() => duplex.destroy(new Error('given up')), 20)
  await expect(securing).rejects.toThrow(reason)
  const answers = [duplex.read(), duplex.write(new Uint8Array(1)), duplex.end()]
  for (const answer of answers) await expect(answer).rejects.toThrow('the connection was closed')
})
