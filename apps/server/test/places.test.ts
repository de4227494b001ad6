/** The places of connections, seen from outside, in the daemon on each runtime. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const RUNTIMES = ['node', 'deno', 'bun'] as const
/** Starts three programs, on two cores that are also busy with other work. */
const TIMEOUT_MS = 90_000
const HOST = '127.0.0.1'
const STRANGER = '127.0.0.2'

const opened: SocketClient[] = []
afterAll(() => {
  for (const client of opened) client.close()
})

/** Connects from an address of this machine, and sends nothing. */
async function open(port: number, localAddress: string, isPaused = false): Promise<SocketClient> {
  const client = await SocketClient.connect(port, { localAddress, waitMs: TIMEOUT_MS, isPaused })
  opened.push(client)
  return client
}

/** Makes the handshake. */
async function secured(client: SocketClient): Promise<SocketClient> {
  await client.startTls()
  return client
}

/** Opens a session, and waits until there is a place for it. */
async function comesIn(port: number, localAddress: string): Promise<SocketClient> {
  for (;;) {
    const client = await open(port, localAddress)
    if ((await client.reply()).code === 220) return client
    await sleep(50)
  }
}

/** The same over TLS. A connection without a place is closed before its handshake. */
async function comesInSecured(port: number, localAddress: string): Promise<SocketClient> {
  for (;;) {
    const client = await secured(await open(port, localAddress)).catch(() => undefined)
    if (client !== undefined) return client
    await sleep(50)
  }
}

/** Sends a message, after the greeting. */
async function deliver(client: SocketClient): Promise<string> {
  await client.command('EHLO client.example')
  for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) await client.command(line)
  return (await client.command('Subject: Hello\r\n\r\nHello.\r\n.')).text
}

test.concurrent.each(sample(RUNTIMES, 1, 1))(
  'on %s a connection counts for its address from before its handshake, and for no other address',
  { timeout: TIMEOUT_MS },
  async (name) => {
    const flags = ['--listen', 'smtps://127.0.0.1:0', '--self-signed', '--max-connections-per-address', '3']
    const running = await serve([...flags, '--log-format', 'json'], { command: COMMANDS[name] })
    const [port = 0] = running.ports

    // A client with a slow ClientHello keeps its place, whatever a stranger does.
    const slow = await open(port, HOST, true)
    await sleep(50)
    const silent = [
      await open(port, STRANGER, true),
      await open(port, STRANGER, true),
      await open(port, STRANGER, true),
    ]
    for (let i = 0; i < 20; i++) await (await open(port, STRANGER)).ended()
    await running.says(/"message":"TLS handshake failed".*"remote":"127\.0\.0\.2".*"reason":"too many connections"/)
    expect([slow, ...silent].map((client) => client.isOver)).toEqual([false, false, false, false])
    slow.resume()
    const client = await secured(slow)
    expect((await client.ehlo()).text).toMatch(/^250/)

    // The handshake and the session are one connection.
    const others = [await open(port, HOST), await open(port, HOST)]
    for (const other of others) expect((await (await secured(other)).ehlo()).text).toMatch(/^250/)
    await (await open(port, HOST)).ended()

    // A place that is given back in the middle of a handshake is free.
    silent[0]?.close()
    const came = await comesInSecured(port, STRANGER)
    expect((await came.ehlo()).text).toMatch(/^250/)
  },
)

test.concurrent.each(sample(RUNTIMES, 1, 2))(
  'on %s idle sessions of a few addresses do not prevent a newcomer or a user from connecting',
  { timeout: TIMEOUT_MS },
  async (name) => {
    const { stdout } = await postern(['hash'], { input: 'secret\n' })
    const running = await serve(
      [
        ['--listen', 'smtp://127.0.0.1:0', '--listen', 'submissions://127.0.0.1:0', '--self-signed'],
        ['--users', `ann:${stdout.trim()}`, '--max-connections', '20', '--max-connections-per-address', '20'],
        // A session may have to go after a thirtieth of this.
        ['--idle-timeout-ms', '60s'],
      ].flat(),
      { command: COMMANDS[name] },
    )
    const [port = 0, submissionPort = 0] = running.ports
    const [one, other] = [STRANGER, '127.0.0.3']

    // Two addresses get as many places as they can. The first session of all is in the middle of a message.
    const busy = await comesIn(port, one)
    await busy.command('EHLO client.example')
    for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) await busy.command(line)
    busy.send('Subject: ')
    const idle: SocketClient[] = []
    while (idle.length < 15) {
      await sleep(20)
      idle.push(await comesIn(port, idle.length % 2 === 0 ? other : one))
    }
    for (const address of [one, other]) {
      expect((await (await open(port, address)).reply()).text).toMatch(/^421 4\.7\.0 /)
    }

    // A tenth is left for addresses that have none, and another for users.
    await comesIn(port, '127.0.0.4')
    await comesIn(port, '127.0.0.5')
    const user = await secured(await open(submissionPort, '127.0.0.6'))
    await user.reply()
    await user.command('EHLO client.example')
    expect((await user.command(`AUTH PLAIN ${btoa('\0ann\0secret')}`)).text).toMatch(/^235 /)
    await secured(await open(submissionPort, '127.0.0.7'))

    // Now all places are taken. Of an address with the most sessions, the one that has been idle longest is ended.
    const newcomer = await comesIn(port, '127.0.0.8')
    expect((await idle[0]?.reply())?.text).toMatch(/^421 4\.7\.0 .* idle$/)
    expect(await deliver(newcomer)).toMatch(/^250 /)
    expect((await busy.command('a\r\n\r\nb\r\n.')).text).toMatch(/^250 /)
    expect(await deliver(user)).toMatch(/^250 /)
    // An address with many sessions displaces no other session.
    expect((await (await open(port, one)).reply()).text).toMatch(/^421 4\.7\.0 /)
    // The next one may not have been idle for long enough at first.
    const second = await comesInSecured(submissionPort, '127.0.0.9')
    expect((await second.reply()).text).toMatch(/^220 /)
    expect((await idle[1]?.reply())?.text).toMatch(/^421 4\.7\.0 .* idle$/)
  },
)

test.concurrent.each(sample(RUNTIMES, 1, 3))(
  'on %s an unfinished handshake loses its place to a newcomer if all places are taken',
  { timeout: TIMEOUT_MS },
  async (name) => {
    const flags = ['--listen', 'smtps://127.0.0.1:0', '--self-signed', '--max-connections', '4']
    const limits = ['--idle-timeout-ms', '60s', '--tls-handshake-timeout-ms', '60s', '--log-format', 'json']
    const running = await serve([...flags, ...limits], { command: COMMANDS[name] })
    const [port = 0] = running.ports
    const silent: SocketClient[] = []
    while (silent.length < 4) {
      silent.push(await open(port, STRANGER, true))
      await sleep(20)
    }
    let newcomer: SocketClient | undefined
    while (newcomer === undefined) {
      newcomer = await secured(await open(port, HOST)).catch(() => undefined)
      await sleep(50)
    }
    expect((await newcomer.reply()).text).toMatch(/^220 /)
    expect(await deliver(newcomer)).toMatch(/^250 /)
    silent[0]?.resume()
    await silent[0]?.ended()
    expect(silent.map((client) => client.isOver)).toEqual([true, false, false, false])
    await running.says(/"message":"TLS handshake failed".*"remote":"127\.0\.0\.2".*"reason":"too many connections"/)
  },
)
