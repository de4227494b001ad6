/** Refusals of the engine itself: one line each, with the peer, on every runtime. */
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'

type Line = Record<string, unknown>

const TIMEOUT_MS = 120_000
/** A user whose password takes no time to check. */
const USER = `ann:$scrypt$ln=1,r=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const SECRET = Buffer.from('\0ann\0hunter2').toString('base64')

/** Stops the server. @returns the lines of its log on refusals */
async function refusals(running: Postern): Promise<Line[]> {
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
  expect(running.stderr).not.toMatch(/"level":"ERROR"|hunter2/)
  expect(running.stderr).not.toContain(SECRET)
  const lines = running.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  return lines
    .filter(({ logger }) => logger === 'postern')
    .map(({ '@timestamp': _time, logger: _logger, ...line }) => line)
}

function greeted(running: Postern): Promise<SocketClient> {
  return SocketClient.ready(running.ports[0] as number)
}

describe.each(Object.entries(COMMANDS))('%s', (_, command) => {
  const peer = { level: 'INFO', sessionId: expect.any(String), remote: '127.0.0.1', remotePort: expect.any(Number) }
  const known = { ...peer, hello: 'client.example' }

  test('refused commands are logged, and lines that are no command', { timeout: TIMEOUT_MS }, async () => {
    const flags = ['--users', USER, '--auth-without-tls', '--max-bad-commands', '100', '--store', 'memory:']
    const running = await serve(flags, { command })
    const client = await greeted(running)
    const said = ['MAIL FROM:nobody', 'RCPT TO:<b@example.com>', 'RCPT TO:<b@example.com>', SECRET, 'AUTH OTHER x']
    for (const line of [...said, `AUTH PLAIN ${SECRET}`, `VRFY x\ry ${SECRET}`])
      expect((await client.command(line)).text).toMatch(/^5/)
    expect(await refusals(running)).toEqual([
      { ...known, message: 'refused', verb: 'MAIL', reply: expect.stringMatching(/^501 5\.5\.2 /) },
      { ...known, message: 'refused', verb: 'RCPT', reply: expect.stringMatching(/^503 5\.5\.1 /) },
      { ...known, message: 'refused', reply: expect.stringMatching(/^500 5\.5\.1 /) },
      { ...known, message: 'refused', verb: 'AUTH', reply: expect.stringMatching(/^504 5\.5\.4 /) },
      {
        ...known,
        message: 'login refused',
        verb: 'AUTH',
        user: 'ann',
        mechanism: 'PLAIN',
        reply: expect.stringMatching(/^535 5\.7\.8 /),
      },
      { ...known, message: 'refused', reply: '500 5.5.2 Lines end with CRLF' },
      {
        level: 'INFO',
        message: 'refused 1 more time',
        remote: '127.0.0.1',
        verb: 'RCPT',
        reply: expect.stringMatching(/^503 /),
        times: 1,
      },
    ])
  })

  test('refused connections are logged: too many, HTTP, early data, timeout', { timeout: TIMEOUT_MS }, async () => {
    const limits = ['--max-connections-per-address', '4', '--idle-timeout-ms', '2s', '--greeting-delay-ms', '500ms']
    const running = await serve([...limits, '--store', 'memory:'], { command })
    const port = running.ports[0] as number
    const early = await SocketClient.connect(port)
    early.send('EHLO client.example\r\n')
    expect((await early.reply()).text).toMatch(/^554 5\.5\.0 /)
    const browser = await SocketClient.connect(port)
    await browser.reply()
    expect((await browser.command('GET / HTTP/1.1')).text).toMatch(/^421 4\.7\.0 /)
    // The places of the earlier sessions may be free again, or not yet.
    let idle: SocketClient
    do idle = await SocketClient.connect(port)
    while ((await idle.reply()).code === 220)
    await running.says(/Timed out/)
    const { sessionId: _none, ...nobody } = peer
    expect((await refusals(running)).filter(({ message }) => message === 'refused')).toEqual([
      { ...peer, message: 'refused', reply: '554 5.5.0 Wait for the greeting' },
      { ...peer, message: 'refused', reply: '421 4.7.0 This is an SMTP server' },
      { ...nobody, message: 'refused', reply: '421 4.7.0 Too many connections' },
      { ...peer, message: 'refused', reply: '421 4.4.2 Timed out' },
    ])
  })

  test('refused messages are logged: too large, too slow, given up', { timeout: TIMEOUT_MS }, async () => {
    const limits = ['--max-message-bytes', '1000', '--data-timeout-ms', '1s']
    const running = await serve([...limits, '--store', 'memory:'], { command })
    const begin = async (): Promise<SocketClient> => {
      const client = await greeted(running)
      await client.command('MAIL FROM:<a@example.com>')
      await client.command('RCPT TO:<b@example.com>')
      await client.command('DATA')
      return client
    }
    expect((await (await begin()).command(`${'x\r\n'.repeat(1_000)}.`)).text).toMatch(/^552 /)
    const slow = await begin()
    slow.send('half')
    expect((await slow.reply()).text).toMatch(/^421 4\.4\.2 /)
    const broken = await SocketClient.connect(running.ports[0] as number)
    const commands = ['EHLO client.example', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA', 'half']
    for (const line of commands) {
      await broken.reply()
      await broken.send(`${line}\r\n`)
    }
    broken.reset()
    await running.says(/"reason":"aborted"/)
    // The server was about to refuse the message, and the client did not wait.
    const doomed = await begin()
    doomed.send('a\nb\r\n')
    doomed.end()
    await running.says(/"reason":"bare-line-ending"/)
    const message = {
      message: 'message refused',
      messageId: expect.any(String),
      from: 'a@example.com',
      size: expect.any(Number),
    }
    expect(await refusals(running)).toEqual([
      { ...known, ...message, verb: 'DATA', reason: 'too-large', reply: expect.stringMatching(/^552 5\.3\.4 /) },
      { ...known, ...message, verb: 'DATA', reply: '421 4.4.2 Timed out' },
      { ...known, ...message, reason: 'aborted' },
      { ...known, ...message, reason: 'bare-line-ending' },
    ])
  })
})
