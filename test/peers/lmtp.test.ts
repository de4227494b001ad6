/**
 * LMTP, XFORWARD and XCLIENT with clients of other people: Debian's Postfix delivers by LMTP to a TCP port and to a Unix socket, and
 * forwards what it knows of its client; Python's smtplib.LMTP; swaks with XCLIENT.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { POSTFIX, PYTHON_SMTP, SWAKS } from '../kit/abilities.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { testWith } from '../kit/need.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun, runTool } from '../kit/tool.ts'
import { eventually } from '../kit/waiting.ts'
import { Postfix } from './postfix.ts'
import { keptFor, protocolOf, readAll } from './store.ts'

const FROM = 'ann@sender.example'
const DELIVERY_TIMEOUT_MS = 45_000
let scratch: Scratch
let server: MailServer
let store: string
let socket: string
let postfix: Postfix | undefined

beforeAll(async () => {
  scratch = await Scratch.make()
  store = scratch.join('mail')
  socket = scratch.join('lmtp.sock')
  server = await serveMail({
    store,
    listen: [
      'smtp://127.0.0.1:0',
      'lmtp://127.0.0.1:0', // Postfix connects as a user of its own.
      `lmtp+unix:${socket}?mode=0666`,
    ],
    flags: [
      `--config=${join(import.meta.dirname, 'lmtp.config.ts')}`,
      '--xclient-from=127.0.0.1',
      '--xforward-from=all',
    ],
  })
  if (POSTFIX.missing !== undefined) return
  const [smtp, lmtp] = server.ports as [number, number]
  const routes = {
    'tcp.example': `lmtp:[127.0.0.1]:${lmtp}`,
    'unix.example': `lmtp:unix:${socket}`,
    'smtp.example': `smtp:[127.0.0.1]:${smtp}`,
  }
  postfix = await Postfix.start(scratch, {
    relayPort: smtp,
    caFile: '/dev/null',
    settings: {
      transport_maps: `inline:{ ${Object.entries(routes)
        .map(([domain, route]) => `{ ${domain} = ${route} }`)
        .join(' ')} }`,
      smtp_tls_security_level: 'none',
      lmtp_tls_security_level: 'none',
      smtp_send_xforward_command: 'yes',
      lmtp_send_xforward_command: 'yes',
    },
  })
})
afterAll(async () => {
  await postfix?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

/** Hands a message to Postfix by SMTP. */
async function submit(to: readonly string[]): Promise<void> {
  using client = await SocketClient.greeted((postfix as Postfix).port)
  await client.command('EHLO client.example', 250)
  await client.command(`MAIL FROM:<${FROM}>`, 250)
  for (const address of to) await client.command(`RCPT TO:<${address}>`, 250)
  await client.command('DATA', 354)
  await client.send('Subject: x\r\n\r\n..\r\nhi\r\n.\r\n')
  await client.expect(250)
  await client.quit()
}

/** Waits for a line of Postfix's log. */
async function logged(line: RegExp): Promise<string> {
  let found: string | undefined
  try {
    await eventually(
      async () => {
        found = line.exec((await postfix?.log()) ?? '')?.[0]
        return found !== undefined
      },
      `${line} in the log of Postfix`,
      DELIVERY_TIMEOUT_MS,
    )
  } catch (error) {
    throw new Error(`${await postfix?.log()}`, { cause: error })
  }
  return found as string
}

testWith(
  [POSTFIX],
  'postfix delivers by LMTP to a TCP port and to a Unix socket, once for all recipients',
  async () => {
    await submit(['a@tcp.example', 'b@tcp.example'])
    await submit(['c@unix.example', 'c@unix.example', 'd@unix.example'])
    for (const address of ['a@tcp.example', 'b@tcp.example', 'c@unix.example', 'd@unix.example']) {
      await logged(new RegExp(`to=<${address}>.*status=sent \\(250 2\\.0\\.0 OK queued as `))
    }
    const all = await readAll(store)
    const tcp = all.filter(({ record }) => record.forwardPaths.some(({ domain }) => domain === 'tcp.example'))
    const unix = all.filter(({ record }) => record.forwardPaths.some(({ domain }) => domain === 'unix.example'))
    expect([tcp.length, unix.length]).toEqual([1, 1])
    for (const kept of [...tcp, ...unix]) {
      expect(protocolOf(kept)).toBe('LMTP')
      expect(kept.record.session).toMatchObject({
        transmissionType: 'LMTP',
        hello: { verb: 'LHLO', name: 'relay.postern.example' },
        // What Postfix says of the client that handed the message in.
        forwarded: { address: '127.0.0.1', hello: 'client.example', protocol: 'ESMTP' },
      })
      expect(kept.bytes.toString()).toContain('\r\n\r\n.\r\nhi\r\n')
    }
    expect(unix[0]?.record.session.remote.family).toBe('unix')
  },
)

testWith([POSTFIX], 'postfix takes the reply of each recipient for that one', async () => {
  await submit(['each-ok@tcp.example', 'each-off@tcp.example', 'each-full@tcp.example', 'nobody@tcp.example'])
  await logged(/to=<each-ok@tcp\.example>.*status=sent \(250 2\.1\.5 Kept for each-ok\)/)
  await logged(/to=<each-off@tcp\.example>.*status=bounced .*550 5\.2\.1 Mailbox is off/)
  await logged(/to=<each-full@tcp\.example>.*status=deferred .*452 4\.2\.2 Mailbox is full/)
  await logged(/to=<nobody@tcp\.example>.*status=bounced .*550 5\.1\.1 No such mailbox/)
})

testWith([POSTFIX], 'postfix sends XFORWARD by SMTP, for each message of a session again', async () => {
  await submit(['e@smtp.example'])
  await logged(/to=<e@smtp\.example>.*status=sent/)
  const { record } = await keptFor(store, 'e@smtp.example')
  expect(record.session).toMatchObject({
    transmissionType: 'ESMTP',
    forwarded: { address: '127.0.0.1', hello: 'client.example', protocol: 'ESMTP' },
  })
  expect(record.session.forwarded?.ident).toMatch(/^[0-9A-F]{6,}$/)
})

testWith([PYTHON_SMTP], 'smtplib.LMTP delivers to a port and to a Unix socket, and gets each refusal', async () => {
  const deliver = async (where: object, to: readonly (readonly string[])[]): Promise<unknown> => {
    const input = JSON.stringify({ ...where, to })
    const { stdout } = await mustRun('python3', [join(import.meta.dirname, 'lmtp_client.py')], { input })
    return JSON.parse(stdout.toString())
  }
  // It reads only one reply after the data, so each message has one recipient who is accepted.
  const messages = (domain: string): string[][] => [
    [`py1@${domain}`, `nobody@${domain}`],
    [`nobody@${domain}`],
    [`py3@${domain}`],
  ]
  const outcome = (domain: string): unknown[] => [{ [`nobody@${domain}`]: 550 }, { [`nobody@${domain}`]: 550 }, {}, 250]
  const port = server.ports[1] as number
  expect(await deliver({ host: '127.0.0.1', port }, messages('py-tcp.example'))).toEqual(outcome('py-tcp.example'))
  expect(await deliver({ host: socket }, messages('py-unix.example'))).toEqual(outcome('py-unix.example'))
  const kept = (await readAll(store)).filter(({ record }) => record.forwardPaths[0]?.domain.startsWith('py-') === true)
  expect(kept.map(({ record }) => record.forwardPaths.map(({ address }) => address))).toEqual([
    ['py1@py-tcp.example'],
    ['py3@py-tcp.example'],
    ['py1@py-unix.example'],
    ['py3@py-unix.example'],
  ])
})

testWith([SWAKS], 'swaks names another client by XCLIENT', async () => {
  const where = `--server 127.0.0.1:${server.port} --timeout 20 --helo mta.example --from ${FROM} --to x@swaks.example`
  const attributes = '--xclient-addr 192.0.2.9 --xclient-name mta.example --xclient-login jane'
  const { code, stdout, stderr } = await runTool('swaks', `${where} ${attributes}`.split(' '))
  expect(code, `${stdout.toString()}${stderr}`).toBe(0)
  const kept = await keptFor(store, 'x@swaks.example')
  expect(kept.record.session).toMatchObject({
    remote: { family: 'ipv4', address: '192.0.2.9' },
    reverseDns: { result: 'pass', name: 'mta.example' },
    user: 'jane',
    transmissionType: 'ESMTPA',
  })
  expect(kept.trace).toContain('(mta.example [192.0.2.9])')
})

testWith([], 'HELP for XCLIENT and XFORWARD is written in ASCII', async () => {
  using client = await SocketClient.ready(server.port)
  expect((await client.command('HELP XCLIENT', 214)).raw.toString()).toContain('XCLIENT name=value [name=value]')
  expect((await client.command('HELP XFORWARD', 214)).raw.toString()).toContain('XFORWARD name=value [name=value]')
  await client.quit()
})
