/** `postern front` with `postern serve` behind it, for real clients and for hostile ones. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createTransport } from 'nodemailer'
import { describe, expect, test as every } from 'vitest'
import { WebSocket } from 'ws'
import { pipeHeaders, type PipeFacts } from '@postern/runtime/websocket'
import { messageOf, MiB } from '../../../test/corpus/messages.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { sendByData, textOf } from '../../../test/corpus/send.ts'
import { OPENSSL, SWAKS_TLS } from '../../../test/kit/abilities.ts'
import { partly } from '../../../test/kit/partly.ts'
import { testWith } from '../../../test/kit/need.ts'
import { throughTls } from '../../../test/peers/openssl.ts'
import { hashPassword } from '@postern/intake/accounts'
import { certificateFiles, fileOf, kept, RUNTIMES, SECRET, serve, startFront } from './front-harness.ts'
import { run } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const test = partly(every)

const message = messageOf(200_000).bytes
/** An address that fronts do not dial from. */
const CLIENT = '127.0.0.2'
const OTHER_SECRET = 'a-secret-that-the-server-has-never-heard-of'

describe.each(sample(RUNTIMES, 1, 3))('a front on %s', (runtime) => {
  const needs = [OPENSSL, SWAKS_TLS]
  testWith(needs, 'the server stores the same bytes, client address and TLS for each kind of listener', async () => {
    const server = await serve(['--max-connections', '50'])
    const listens = ['--listen', 'smtp://127.0.0.1:0', '--listen', 'smtps://127.0.0.1:0']
    const front = await startFront(runtime, server.pipe, listens)
    const [smtp = 0, smtps = 0] = front.ports
    const { cert } = certificateFiles()
    const expected: [string, RegExp | undefined, string][] = []

    // In clear, and with STARTTLS and implicit TLS of 1.2 and 1.3.
    using client = await SocketClient.ready(smtp)
    await sendByData(client, { bytes: message, cut: { seed: 1, most: 7_001 } })
    await client.quit()
    expected.push(['ESMTP', undefined, '127.0.0.1'])
    for (const [port, isImplicit] of [
      [smtp, false],
      [smtps, true],
    ] as const) {
      for (const version of ['1.2', '1.3']) {
        const how = isImplicit ? [] : ['-starttls', 'smtp']
        const at = ['-connect', `127.0.0.1:${port}`, '-bind', CLIENT, `-tls${version.replace('.', '_')}`]
        const said = ['EHLO a\r\n', 'MAIL FROM:<a@a.example>\r\n', 'RCPT TO:<b@b.example>\r\n', 'DATA\r\n']
        const heard = await throughTls(cert, [...how, ...at], [...said, textOf(message), 'QUIT\r\n'])
        expect(heard).toMatch(/^250 2\.0\.0 OK queued/m)
        expected.push(['ESMTPS', new RegExp(`^TLSv${version}$`), CLIENT])
      }
    }
    // Nodemailer and swaks.
    for (const secure of [false, true]) {
      const transport = createTransport({
        host: '127.0.0.1',
        port: secure ? smtps : smtp,
        secure,
        requireTLS: true,
        localAddress: CLIENT,
        tls: { rejectUnauthorized: false },
      })
      await transport.sendMail({ envelope: { from: 'a@a.example', to: 'b@b.example' }, raw: message })
      transport.close()
      expected.push(['ESMTPS', /^TLSv1\.3$/, CLIENT])
    }
    const data = fileOf(textOf(message), 'message.txt')
    for (const flag of ['--tls', '--quit-after']) {
      const args =
        flag === '--tls' ? ['--tls', '--data', `@${data}`, '--no-data-fixup'] : ['--tls-on-connect', flag, 'EHLO']
      const to = ['--from', 'a@a.example', '--to', 'b@b.example', '--local-interface', CLIENT]
      const server = ['--server', '127.0.0.1', '--port', String(flag === '--tls' ? smtp : smtps)]
      expect(await run('swaks', [...server, ...to, ...args])).toMatchObject({ code: 0 })
    }
    expected.push(['ESMTPS', /^TLSv1\.3$/, CLIENT])

    const messages = kept(server.store)
    expect(messages).toHaveLength(expected.length)
    for (const [at, { record, bytes, trace }] of messages.entries()) {
      const [transmissionType, protocol, address] = expected[at] as [string, RegExp | undefined, string]
      expect(record.session).toMatchObject({
        transmissionType,
        remote: { family: 'ipv4', address },
        local: { family: 'ipv4', address: '127.0.0.1' },
      })
      expect([smtp, smtps]).toContain(record.session.local.port)
      expect(record.session.remote.port).toBeGreaterThan(1_023)
      if (protocol === undefined) expect(record.session.tls).toBeUndefined()
      else {
        expect(record.session.tls?.protocol).toMatch(protocol)
        expect(record.session.tls?.cipher).toMatch(/^TLS_/)
      }
      expect(trace).toContain(`([${address}])`)
      expect(trace).toContain(` with ${transmissionType}`)
      expect(bytes.equals(message)).toBe(true)
    }
    expect(await front.end('SIGTERM')).toBe(0)
    expect(await server.end('SIGTERM')).toBe(0)
    expect(front.output + server.output).not.toContain(SECRET)
  })

  every('data sent before the TLS handshake never counts as data inside TLS', async () => {
    const server = await serve(['--debug'])
    const front = await startFront(runtime, server.pipe)
    // CVE-2011-0411: in the same packet, in the next one, and after the reply in place of a handshake.
    const ways: readonly (readonly string[])[] = [
      ['STARTTLS\r\nNOOP injected\r\n'],
      ['STARTTLS\r\n', 'NOOP injected\r\n'],
      ['STARTTLS\r\n', '', 'NOOP injected\r\n'],
      ['STARTTLS\r\n', '', '\x16\x03\x01NOOP injected\r\n'],
    ]
    for (const pieces of ways) {
      using client = await SocketClient.ready(front.ports[0] ?? 0)
      for (const piece of pieces) {
        if (piece === '') await client.expect(220)
        else await client.send(piece)
      }
      await client.ended()
    }
    using client = await SocketClient.ready(front.ports[0] ?? 0)
    await client.command('NOOP in clear', 250)
    await client.quit()
    await server.says(/"text":"NOOP in clear"/)
    expect(server.output).not.toContain('injected')
  })

  every('if the client or the server disconnects, the front disconnects the other one', async () => {
    const server = await serve()
    const front = await startFront(runtime, server.pipe)
    const [port = 0] = front.ports
    const client = await SocketClient.ready(port)
    await client.command('MAIL FROM:<a@a.example>', 250)
    await client.command('RCPT TO:<b@b.example>', 250)
    await client.command('DATA', 354)
    await client.send('Subject: never whole\r\n')
    client.reset()
    await server.says(/"message":"closed"/)
    expect(kept(server.store)).toEqual([])

    using other = await SocketClient.ready(port)
    server.signal('SIGKILL')
    await other.ended()
    using late = await SocketClient.connect(port)
    const reply = await late.expect(421, '4.3.0')
    expect(reply.lines[0]).toMatch(/^4\.3\.0 front\.example Service not available/)
    await late.ended()
    await front.says(/"message":"the server behind this front cannot be reached"/)
    expect(await front.end('SIGTERM')).toBe(0)
  })
})

describe.concurrent('a front', () => {
  test('with an unknown secret is rejected, its client gets 421, and no log has a secret or a token', async () => {
    const server = await serve()
    const front = await startFront('node', server.pipe, undefined, OTHER_SECRET)
    using client = await SocketClient.connect(front.ports[0] ?? 0)
    await client.expect(421, '4.3.0')
    await client.ended()
    await front.says(/cannot be reached.*Unexpected server response: 401/)
    await server.says(/a front was refused.*signature verification failed/)
    const output = front.output + server.output
    for (const secret of [SECRET, OTHER_SECRET, 'eyJ']) expect(output).not.toContain(secret)
    expect(server.output).not.toContain('"connected"')
  })

  test('with the old secret is accepted while the server has that secret too', async () => {
    const server = await serve([], `${OTHER_SECRET} ${SECRET}`)
    for (const secret of [SECRET, OTHER_SECRET]) {
      const front = await startFront('node', server.pipe, undefined, secret)
      using client = await SocketClient.ready(front.ports[0] ?? 0)
      await client.quit()
    }
  })

  test('connects over wss with its own CA', async () => {
    const { key, cert } = certificateFiles()
    const tls = ['--tls-key', key, '--tls-cert', cert]
    const server = await serve(['--listen', 'wss://127.0.0.1:0/secure/pipe', ...tls])
    const url = `wss://127.0.0.1:${server.ports[1]}/secure/pipe`
    const runtimes = sample(RUNTIMES, 1, 5)
    for (const runtime of runtimes) {
      const front = await startFront(runtime, url, ['--listen', 'smtp://127.0.0.1:0', '--to-ca', cert])
      using client = await SocketClient.ready(front.ports[0] ?? 0)
      await sendByData(client, { bytes: message })
      await client.quit()
    }
    expect(kept(server.store).map(({ bytes }) => bytes.equals(message))).toEqual(runtimes.map(() => true))

    const distrustful = await startFront('node', url)
    using client = await SocketClient.connect(distrustful.ports[0] ?? 0)
    await client.expect(421, '4.3.0')
    await distrustful.says(/self-signed certificate/)
  })

  test('tells the server which of its ports are for submission', async () => {
    const hash = await hashPassword('a password')
    const server = await serve(['--users', `ann:${hash}`])
    const listens = ['smtp', 'submission', 'submissions'].flatMap((scheme) => ['--listen', `${scheme}://127.0.0.1:0`])
    const front = await startFront('node', server.pipe, listens)
    const [smtp = 0, submission = 0, submissions = 0] = front.ports
    using open = await SocketClient.ready(smtp)
    await open.command('MAIL FROM:<a@a.example>', 250)
    using closed = await SocketClient.ready(submission)
    await closed.command('MAIL FROM:<a@a.example>', 530, '5.7.0')
    for (const [port, secure] of [
      [submission, false],
      [submissions, true],
    ] as const) {
      const common = { host: '127.0.0.1', port, secure, requireTLS: true, tls: { rejectUnauthorized: false } }
      const mail = { envelope: { from: 'a@a.example', to: 'b@b.example' }, raw: message }
      await expect(createTransport(common).sendMail(mail)).rejects.toMatchObject({ responseCode: 530 })
      await createTransport({ ...common, auth: { user: 'ann', pass: 'a password' } }).sendMail(mail)
    }
    expect(kept(server.store).map(({ record }) => [record.session.user, record.session.transmissionType])).toEqual([
      ['ann', 'ESMTPSA'],
      ['ann', 'ESMTPSA'],
    ])
  })

  test('limits connections in all and for one address', async () => {
    const server = await serve()
    const limits = ['--max-connections', '3', '--max-connections-per-address', '2']
    const front = await startFront('node', server.pipe, ['--listen', 'smtp://127.0.0.1:0', ...limits])
    const [port = 0] = front.ports
    using first = await SocketClient.ready(port)
    using second = await SocketClient.ready(port)
    using third = await SocketClient.connect(port)
    await third.expect(421, '4.7.0')
    await first.quit()
    await second.quit()
    // The place is free when the front has seen the last connection end.
    for (;;) {
      using again = await SocketClient.connect(port)
      if ((await again.reply()).code === 220) break
    }
  })

  test('stops when its last connection has ended, or after the grace time', async () => {
    const server = await serve()
    const patient = await startFront('node', server.pipe)
    const client = await SocketClient.ready(patient.ports[0] ?? 0)
    const ended = patient.end('SIGTERM')
    await patient.says(/"message":"stopping"/)
    await sendByData(client, { bytes: message })
    await client.quit()
    expect(await ended).toBe(0)

    const hasty = await startFront('node', server.pipe, ['--listen', 'smtp://127.0.0.1:0', '--grace-ms', '100'])
    using idle = await SocketClient.ready(hasty.ports[0] ?? 0)
    expect(await hasty.end('SIGINT')).toBe(0)
    await idle.ended()
  })

  test('passes 421 to its clients when the server stops', async () => {
    const server = await serve()
    const front = await startFront('node', server.pipe)
    using client = await SocketClient.ready(front.ports[0] ?? 0)
    const ended = server.end('SIGTERM')
    await client.expect(421, '4.3.2')
    await client.ended()
    expect(await ended).toBe(0)
  })
})

describe.concurrent('at the pipe', () => {
  const facts: PipeFacts = {
    remote: { family: 'ipv4', address: '192.0.2.7', port: 4711 },
    local: { family: 'ipv4', address: '192.0.2.1', port: 25 },
    canStartTls: false,
    submission: false,
  }

  /** Asks for a WebSocket. Returns its status, or the first message of the server. */
  function ask(url: string, headers: Record<string, string>): Promise<string> {
    return new Promise((resolve) => {
      const socket = new WebSocket(url, { headers, perMessageDeflate: false })
      socket.on('message', (data) => {
        const text = (data as Buffer).toString()
        if (!text.startsWith('2')) return
        resolve(text.slice(0, 3))
        socket.terminate()
      })
      socket.on('unexpected-response', (_, response) => resolve(`status ${response.statusCode}`))
      socket.on('error', () => {})
    })
  }

  /** Sends this by TCP. Returns everything that comes back until the close. */
  async function talk(port: number, text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.setEncoding('latin1').on('data', (more: string) => (heard += more))
    socket.on('error', () => {})
    socket.write(text)
    await once(socket, 'close')
    return heard
  }

  test('a token opens one pipe, and only at the URL that it was made for', async () => {
    const server = await serve()
    const good = await pipeHeaders(facts, { secret: SECRET, url: server.pipe })
    expect(await ask(server.pipe, good)).toBe('220')
    expect(await ask(server.pipe, good)).toBe('status 401')
    await server.says(/its token was used before/)
    expect(await ask(server.pipe, {})).toBe('status 401')
    const elsewhere = await pipeHeaders(facts, { secret: SECRET, url: 'ws://other.example/pipe' })
    expect(await ask(server.pipe, elsewhere)).toBe('status 401')
    await server.says(/unexpected \\"aud\\" claim value/)
    const fresh = await pipeHeaders(facts, { secret: SECRET, url: server.pipe })
    expect(await ask(server.pipe.replace('/pipe', '/other'), fresh)).toBe('status 404')
    expect(await ask(server.pipe, fresh)).toBe('220')
    await server.says(/"message":"connected".*192\.0\.2\.7/)
  })

  test('a request that is not for a pipe gets no pipe and is closed in time', async () => {
    const server = await serve(['--tls-handshake-timeout-ms', '700'])
    const [port = 0] = server.ports
    const get = 'GET /pipe HTTP/1.1\r\nHost: a\r\n'
    expect(await talk(port, `${get}\r\n`)).toMatch(/^HTTP\/1\.1 426 /)
    expect(await talk(port, `${get}X: ${'x'.repeat(20_000)}\r\n\r\n`)).not.toMatch(/^HTTP\/1\.1 [23]/)
    expect(await talk(port, 'EHLO a\r\n')).not.toMatch(/^2/)
    // A connection without data, and a header that never ends.
    expect(await talk(port, '')).toBe('')
    expect(await talk(port, get)).toBe('')
    const front = await startFront('node', server.pipe)
    using client = await SocketClient.ready(front.ports[0] ?? 0)
    await client.quit()
  })

  test('a front that breaks the rules of the pipe is disconnected, and the server goes on', async () => {
    const server = await serve()
    const headers = async () => ({ headers: { ...(await pipeHeaders(facts, { secret: SECRET, url: server.pipe })) } })
    for (const frames of [['nonsense'], [Buffer.alloc(100_000)], ['{"type":"startTls"}']]) {
      const socket = new WebSocket(server.pipe, await headers())
      socket.on('error', () => {})
      await once(socket, 'open')
      for (const frame of frames) socket.send(frame)
      await once(socket, 'close')
    }
    expect(await ask(server.pipe, (await headers()).headers)).toBe('220')
  })
})

describe.each(sample(RUNTIMES, 1, 4))('a slow server behind a front on %s', (runtime) => {
  const SESSIONS = 4

  every(
    'slows down the client, and neither front nor server buffers the data',
    async () => {
      const config = fileOf(
        `export default { handlers: { async data() { await new Promise((resolve) => setTimeout(resolve, 3_000)) } } }`,
        'postern.config.mjs',
      )
      const server = await serve(['--config', config])
      const front = await startFront(runtime, server.pipe, undefined, undefined, false)
      const { bytes } = messageOf(25 * MiB - 1_000)
      const clients = await Promise.all(Array.from({ length: SESSIONS }, () => SocketClient.ready(front.ports[0] ?? 0)))
      const [frontBytes, serverBytes] = [front.residentBytes(), server.residentBytes()]
      const sendings = clients.map((client) => sendByData(client, { bytes }))
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      // 100 MiB have been given to the kernel or wait for it. For each connection, each side may hold one MiB, and some
      // garbage.
      const growth = [front.residentBytes() - frontBytes, server.residentBytes() - serverBytes]
      for (const reply of await Promise.all(sendings)) expect(reply.code).toBe(250)
      const [frontText, serverText] = growth.map((more) => `+${(more / MiB).toFixed(1)} MiB`)
      console.info(
        `memory, ${SESSIONS} messages of 25 MiB that nobody reads: front on ${runtime} ${frontText}, server ${serverText}`,
      )
      for (const more of growth) expect(more).toBeLessThan(40 * MiB)
      const whole = kept(server.store).filter((one) => one.bytes.equals(bytes))
      expect(whole).toHaveLength(SESSIONS)
      for (const client of clients) await client.quit()
    },
    120_000,
  )
})
