/** Who has a place among the connections that there may be, from outside: the daemon on each runtime. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { COMMANDS } from '../../../packages/runtime/test/commands.ts'
import { Client } from './client.ts'
import { serve } from './program.ts'

const RUNTIMES = ['node', 'deno', 'bun'] as const
/** Starts of three programs, on two cores that do other things as well. */
const TIMEOUT_MS = 90_000
const HOST = '127.0.0.1'
const STRANGER = '127.0.0.2'

/** Connects from an address of this machine, and says nothing. */
async function open(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: HOST, localAddress })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Makes the handshake. */
async function secured(socket: Socket): Promise<Client> {
  const secure = connectTls({ socket, rejectUnauthorized: false })
  const client = new Client(secure)
  await once(secure, 'secureConnect')
  return client
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket.resume(), 'close')
}

test.each(RUNTIMES)(
  'on %s a connection counts before its handshake, for its address and not for others',
  { timeout: TIMEOUT_MS },
  async (name) => {
    const flags = ['--listen', 'smtps://127.0.0.1:0', '--self-signed', '--max-connections-per-address', '3']
    const running = await serve([...flags, '--log-format', 'json'], { command: COMMANDS[name] })
    const [port = 0] = running.ports

    // Who takes its time with the ClientHello keeps its place, whatever a stranger does.
    const slow = await open(port, HOST)
    await sleep(50)
    const silent = [await open(port, STRANGER), await open(port, STRANGER), await open(port, STRANGER)]
    for (let i = 0; i < 20; i++) await closed(await open(port, STRANGER))
    await running.says(/"message":"TLS handshake failed".*"remote":"127\.0\.0\.2".*"reason":"too many connections"/)
    expect([slow, ...silent].map((socket) => socket.destroyed)).toEqual([false, false, false, false])
    const client = await secured(slow)
    expect(await client.ehlo()).toMatch(/^250/)

    // The handshake and the session are one connection.
    const others = [await open(port, HOST), await open(port, HOST)]
    for (const other of others) expect(await (await secured(other)).ehlo()).toMatch(/^250/)
    await closed(await open(port, HOST))

    // A place that is given back in the middle of a handshake is free.
    silent[0]?.destroy()
    let came: Client | undefined
    while (came === undefined) came = await secured(await open(port, STRANGER)).catch(() => undefined)
    expect(await came.ehlo()).toMatch(/^250/)
  },
)
