/** The certificates that a server shows, on each runtime. A client with TLSA records compares them. */
import { createHash } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'
import { resolve } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { mustRun } from '../../../test/kit/tool.ts'
import { dial, listen } from '../src/node/index.ts'
import { type Chain, makeChain } from './chain.ts'
import { certificate, Hall } from './harness.ts'

let chain: Chain
let port: number
const server = createServer((socket) => {
  const secureContext = createSecureContext({ key: chain.key, cert: chain.cert })
  new TLSSocket(
    socket.on('error', () => {}),
    { isServer: true, secureContext },
  ).on('error', () => {})
})

beforeAll(async () => {
  chain = await makeChain()
  await new Promise<void>((listening) => {
    server.listen(0, '127.0.0.1', listening)
  })
  port = (server.address() as AddressInfo).port
})
afterAll(() => void server.close())

describe('a client', () => {
  test.each(['node', 'deno', 'bun'] as const)(
    'on %s has all certificates of the server, as often as it asks',
    async (runtime) => {
      const program = resolve(import.meta.dirname, 'peer-certificates-program.ts')
      const [command, ...args] = [...COMMANDS[runtime], program, String(port)] as [string, ...string[]]
      const { stdout } = await mustRun(command, args)
      const expected = [chain.server, chain.authority, chain.root].map(({ der }) =>
        createHash('sha256').update(der).digest('hex'),
      )
      expect(stdout.toString()).toBe(`true\n${JSON.stringify([expected, expected])}\n`)
    },
  )

  test('has the channel binding to the certificate of the server that the server has', async () => {
    const hall = new Hall()
    const listener = await listen(hall, { port: 0, host: '127.0.0.1', tls: certificate, implicitTls: true })
    const near = await dial({
      host: '127.0.0.1',
      port: listener.address.port,
      tls: { ca: certificate.cert },
      implicitTls: true,
    })
    const far = await hall.next()
    const bound = near.channelBinding?.('tls-server-end-point')
    expect(bound).toHaveLength(32)
    expect(far.channelBinding?.('tls-server-end-point')).toEqual(bound)
    near.destroy()
    far.destroy()
    await listener.close()
  })
})
