/** The Worker in raw workerd sends on what its users submit: through a smarthost, from the queue in its Durable Object. */
import { createHmac } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createServer, type Listener, reply, type Server } from '@postern/engine'
import { generateKey, SigningKey } from '@postern/relay/signing'
import { listen } from '@postern/runtime/node'
import { DEBIAN_PYTHON, DKIMPY, MSMTP_TLS, PYTHON_SMTP } from '../../../test/kit/abilities.ts'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { testWith } from '../../../test/kit/need.ts'
import { partly } from '../../../test/kit/partly.ts'
import { postern } from '../../../test/kit/postern.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { mustRun } from '../../../test/kit/tool.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { makeCertificate } from '../../../test/peers/served.ts'
import { keptIds, READ_TOKEN, readKept } from './reading.ts'
import { send } from './sending.ts'
import { Smarthost, SMARTHOST_USER } from './smarthost.ts'
import { startWorkerd, type Workerd, type WorkerdOptions } from './workerd.ts'

/** Each run makes one in two of these. */
const sampled = partly(test)

const DOMAIN = 'example.com'
const USER = `ann@${DOMAIN}`
const PASSWORD = 'tiger'
const FAR = 'bob@far.example'
const HOOK_SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const VERIFY = join(import.meta.dirname, '../../../packages/relay/test/signing/verify.py')
const CLIENT = join(import.meta.dirname, '../../../test/peers/python_client.py')

let scratch: Scratch
let smarthost: Smarthost
let lists: Listener
/** What the webhook was sent, and its answers to the next requests. */
const posted: { readonly headers: IncomingHttpHeaders; readonly body: Buffer }[] = []
const statuses: number[] = []
const hook = createHttpServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray())
  posted.push({ headers: request.headers, body })
  response.writeHead(statuses.shift() ?? 204).end()
})
const hookPort = (): number => (hook.address() as AddressInfo).port
const listed: string[] = []
let workerd: Workerd
let keyFile: string
let caFile: string
let ca: string
let settings: Readonly<Record<string, string>>
const records: Record<string, string> = {}

beforeAll(async () => {
  scratch = await Scratch.make()
  const certificate = await makeCertificate(scratch)
  keyFile = certificate.keyFile
  caFile = certificate.caFile
  ca = certificate.ca
  smarthost = await Smarthost.start({ key: await readFile(keyFile, 'utf8'), cert: ca })
  await new Promise<void>((listening) => {
    hook.listen(0, '127.0.0.1', listening)
  })
  lists = await listen(listServer(), { host: '127.0.0.1', port: 0, overrides: { protocol: 'lmtp' } })
  const cwd = scratch.join('accounts')
  await mkdir(cwd)
  await postern(['user', 'add', USER], { cwd, input: `${PASSWORD}\n` })
  const secrets: Record<string, string> = {}
  for (const type of ['rsa', 'ed25519'] as const) {
    const key = await generateKey(type)
    const { recordName, record } = new SigningKey(key, { domain: DOMAIN, selector: type })
    records[recordName] = record
    secrets[`POSTERN_DKIM_${type.toUpperCase()}`] = JSON.stringify({ domain: DOMAIN, selector: type, key })
  }
  settings = {
    POSTERN_ACCOUNTS: await readFile(join(cwd, 'accounts.json'), 'utf8'),
    POSTERN_RELAY: smarthost.url,
    POSTERN_RELAY_FIRST_RETRY_MS: '1000',
    POSTERN_RULES: JSON.stringify([
      { for: `sales@${DOMAIN}`, do: { forward: 'sales@forward.example' } },
      { for: `hook@${DOMAIN}`, do: { webhook: `http://127.0.0.1:${hookPort()}/mail`, secret: HOOK_SECRET } },
      { for: `lists@${DOMAIN}`, do: { lmtp: `lmtp://127.0.0.1:${lists.address.port}` } },
    ]),
    POSTERN_SRS_SECRET: 'srs-0123456789abcdef0123456789abcdef',
    ...secrets,
  }
  workerd = await start(scratch.join('mail'))
})
afterAll(async () => {
  await workerd?.[Symbol.asyncDispose]()
  await lists?.close()
  hook.close()
  await smarthost?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

/** Makes a server of LMTP, which takes the mail of a rule. */
function listServer(): Server {
  return createServer({
    hostname: 'lists.example',
    async data(message) {
      await message.bytes()
      listed.push(...message.envelope.forwardPaths.map(({ address }) => address))
      return message.envelope.forwardPaths.map(() => reply(250, '2.0.0', 'Delivered'))
    },
  })
}

function start(directory: string, more: Partial<WorkerdOptions> = {}): Promise<Workerd> {
  return startWorkerd({ directory, keyFile, certFile: caFile, relayCaFile: caFile, settings, ...more })
}

function textOf(subject: string, to: string = FAR): Buffer {
  return Buffer.from(`From: ${USER}\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\nHello,\r\n.dot\r\n`)
}

/** Submits a message as the user, by STARTTLS. Resolves when the Worker has answered 250. */
async function submit(to: Workerd, subject: string, recipient: string = FAR): Promise<string> {
  return send(to.smtp, textOf(subject, recipient), {
    requireTLS: true,
    tls: { ca, servername: 'localhost' },
    auth: { user: USER, pass: PASSWORD },
    from: USER,
    to: recipient,
  })
}

function ask(path: string, method: string = 'GET', token: string = READ_TOKEN): Promise<Response> {
  return fetch(`http://127.0.0.1:${workerd.http}${path}`, { method, headers: { authorization: `Bearer ${token}` } })
}

function queue(path: string = '', method?: string, token?: string): Promise<Response> {
  return ask(`/queue${path}`, method, token)
}

interface Listed {
  readonly entries: readonly { readonly id: string; readonly deliveries: readonly { readonly state: string }[] }[]
}

async function expectSigned(message: Buffer): Promise<void> {
  const { stdout } = await mustRun(DEBIAN_PYTHON, [VERIFY], {
    input: JSON.stringify({ records, messages: [message.toString('base64')], signatures: 2 }),
  })
  expect(JSON.parse(stdout.toString())).toEqual([['pass', 'pass']])
}

testWith(
  [MSMTP_TLS, DKIMPY],
  'a message that msmtp submits by STARTTLS arrives, and its signatures are valid',
  async () => {
    const tls = ['--tls=on', `--tls-trust-file=${caFile}`, '--tls-host-override=localhost']
    const login = ['--auth=plain', `--user=${USER}`, `--passwordeval=echo ${PASSWORD}`]
    const flags = ['--host=127.0.0.1', `--port=${workerd.smtp}`, ...tls, ...login, `--from=${USER}`, FAR]
    await mustRun('msmtp', flags, { input: `From: ${USER}\nTo: ${FAR}\nSubject: by msmtp\n\nHello,\n.dot\n` })
    const [taken, ...more] = await smarthost.about('by msmtp')
    expect(more).toEqual([])
    expect(taken).toMatchObject({ user: SMARTHOST_USER, isSecure: true })
    expect(taken?.envelope.reversePath.address).toBe(USER)
    expect(taken?.envelope.forwardPaths.map(({ address }) => address)).toEqual([FAR])
    await expectSigned(taken?.bytes ?? Buffer.alloc(0))
  },
)

testWith(
  [PYTHON_SMTP, DKIMPY],
  'a message that smtplib submits by implicit TLS arrives, and its signatures are valid',
  async () => {
    const messages = [{ from: USER, to: [FAR, USER], bytes: textOf('by smtplib').toString('base64') }]
    const login = { user: USER, password: PASSWORD, mechanism: 'PLAIN', initial_response: true }
    const task = { port: workerd.smtps, security: 'implicit', ca: caFile, ...login, messages }
    const { stdout } = await mustRun('python3', [CLIENT], { input: JSON.stringify(task) })
    expect(JSON.parse(stdout.toString())).toMatchObject({ auth: 235, refused: [{}] })
    const [taken] = await smarthost.about('by smtplib')
    await expectSigned(taken?.bytes ?? Buffer.alloc(0))
    // The recipient here has the message too, and nobody else does.
    const [newest] = await keptIds(workerd.http)
    const { record, bytes } = await readKept(workerd.http, newest ?? '')
    expect(record.forwardPaths).toMatchObject([{ address: USER, accounts: [USER] }])
    expect(bytes.toString()).toContain('Subject: by smtplib\r\n')
  },
)

test('a message with 250 arrives by the alarm alone after workerd is killed before its delivery', async () => {
  const directory = scratch.join('killed')
  await smarthost.down()
  {
    await using first = await start(directory)
    await submit(first, 'killed')
    await first.running.says(/"message":"a server was passed over"/)
    await first.running.kill()
  }
  await smarthost.up()
  expect(smarthost.taken.filter(({ bytes }) => bytes.includes('Subject: killed'))).toEqual([])
  await using second = await start(directory)
  expect(await smarthost.about('killed')).toHaveLength(1)
  await second.running.says(/"message":"message sent on"/)
})

sampled('a smarthost whose certificate has another name gets neither the password nor the mail', async () => {
  const relayCaFile = scratch.join('other.pem')
  const other = await writeCertificate(scratch.join('other-key.pem'), relayCaFile, { hosts: ['other.example'] })
  await using impostor = await Smarthost.start(other)
  const own = { relayCaFile, settings: { ...settings, POSTERN_RELAY: impostor.url } }
  await using refusing = await start(scratch.join('impostor'), own)
  await submit(refusing, 'for the smarthost')
  await refusing.running.says(
    /"message":"message waits for another attempt".*"reply":"4\.7\.10 the TLS handshake failed/,
  )
  expect([impostor.logins, impostor.taken]).toEqual([0, []])
})

test('a message with a temporary answer is tried again by the schedule', async () => {
  smarthost.codes.push(451)
  const id = await submit(workerd, 'later')
  expect(await smarthost.about('later')).toHaveLength(1)
  const lines = workerd.running.output.split('\n').filter((line) => line.includes(`"messageId":"${id}"`))
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(
    expect.arrayContaining(['message queued', 'message waits for another attempt']),
  )
})

test('a message that the smarthost refuses comes back to its sender as one report', async () => {
  const before = await keptIds(workerd.http)
  smarthost.codes.push(554)
  await submit(workerd, 'refused')
  const fresh = async (): Promise<readonly string[]> =>
    (await keptIds(workerd.http)).filter((id) => !before.includes(id))
  await eventually(async () => (await fresh()).length > 0, 'a report')
  await eventually(async () => ((await (await queue()).json()) as Listed).entries.length === 0, 'an empty queue')
  const [id, ...more] = await fresh()
  expect(more).toEqual([])
  // A report has no trace header, because this server has written it.
  const record: unknown = await (await ask(`/mail/${id}`)).json()
  expect(record).toMatchObject({ reversePath: { address: '' }, forwardPaths: [{ address: USER, accounts: [USER] }] })
  const report = await (await ask(`/mail/${id}/raw`)).text()
  expect(report).toMatch(/^Final-Recipient: rfc822; ?bob@far\.example\r$/m)
  expect(report).toMatch(/^Diagnostic-Code: smtp; ?554 5\.7\.1 Not this one\r$/m)
})

test('the owner of the token sees the queue, holds, releases and deletes mail in it', async () => {
  await smarthost.down()
  const [kept, gone] = [await submit(workerd, 'held'), await submit(workerd, 'deleted')]
  const waiting = async (): Promise<Listed['entries']> => ((await (await queue()).json()) as Listed).entries
  expect((await waiting()).map(({ id }) => id)).toEqual([kept, gone])
  expect(await (await queue('/hold?all=true', 'POST')).json()).toEqual({ count: 2 })
  const entry: unknown = await (await queue(`/${kept}`)).json()
  expect(entry).toMatchObject({
    envelope: { reversePath: USER },
    deliveries: [{ destination: 'far.example', state: 'held', recipients: [{ address: FAR, state: 'pending' }] }],
  })
  expect(await (await queue(`/${kept}/raw`)).text()).toContain('Subject: held\r\n')
  expect((await queue(`/${kept}/retry`, 'POST')).status).toBe(409)
  expect(await (await queue('/stats')).json()).toMatchObject({ entries: 2, deliveries: { held: 2, waiting: 0 } })
  await smarthost.up()
  expect((await queue(`/${gone}`, 'DELETE')).status).toBe(200)
  expect((await queue(`/${gone}`)).status).toBe(404)
  expect(await (await queue('/release?destination=Far.Example', 'POST')).json()).toEqual({ count: 1 })
  expect(await smarthost.about('held')).toHaveLength(1)
  await eventually(async () => (await waiting()).length === 0, 'an empty queue')
  expect(smarthost.taken.filter(({ bytes }) => bytes.includes('Subject: deleted'))).toEqual([])
})

sampled('the queue is shown to nobody without the token, and a request that is unclear changes nothing', async () => {
  expect((await queue('', 'GET', 'another')).status).toBe(401)
  expect((await queue('/retry?all=true', 'POST', 'another')).status).toBe(401)
  for (const [path, method] of [
    ['/hold', 'POST'],
    ['?all=yes', 'DELETE'],
    ['?destination=far.example', 'DELETE'],
    ['?state=lost', 'GET'],
    ['?limit=0', 'GET'],
    ['?cursor=x', 'GET'],
  ] as const) {
    expect([path, (await queue(path, method)).status]).toEqual([path, 400])
  }
  expect((await queue('/NOSUCHMESSAGE/retry', 'POST')).status).toBe(404)
})

sampled('the Worker offers what the relay keeps, such as DSN, and a report on a success comes back', async () => {
  const before = await keptIds(workerd.http)
  using client = await SocketClient.connect(workerd.smtp)
  await client.expect(220)
  const { lines } = await client.command('EHLO a.example', 250)
  const keywords = lines.map((line) => line.split(' ')[0])
  expect(keywords).toEqual(expect.arrayContaining(['DSN', 'MT-PRIORITY', 'DELIVERBY', 'FUTURERELEASE']))
  await send(workerd.smtp, textOf('with DSN'), {
    requireTLS: true,
    tls: { ca, servername: 'localhost' },
    auth: { user: USER, pass: PASSWORD },
    from: USER,
    to: FAR,
    dsn: { notify: 'success', return: 'headers', id: 'QQ314159' },
  })
  const fresh = async (): Promise<readonly string[]> =>
    (await keptIds(workerd.http)).filter((id) => !before.includes(id))
  await eventually(async () => (await fresh()).length > 0, 'a report')
  const report = await (await ask(`/mail/${(await fresh())[0]}/raw`)).text()
  expect(report).toMatch(/^Original-Envelope-Id: QQ314159\r$[^]*^Action: relayed\r$/m)
})

test('a stranger cannot send through the Worker, and mail that a rule forwards goes on with a rewritten sender', async () => {
  const tls = { ignoreTLS: true, from: 'eve@stranger.example' }
  await expect(send(workerd.smtp, textOf('relayed'), { ...tls, to: FAR })).rejects.toThrow(/550 5\.7\.1/)
  await send(workerd.smtp, textOf('forwarded'), { ...tls, to: `sales@${DOMAIN}` })
  const [taken] = await smarthost.about('forwarded')
  expect(taken?.envelope.forwardPaths.map(({ address }) => address)).toEqual(['sales@forward.example'])
  expect(taken?.envelope.reversePath.address).toMatch(
    /^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=stranger\.example=eve@example\.com$/,
  )
  expect(taken?.bytes.toString()).toContain(`Delivered-To: sales@${DOMAIN}\r\n`)
})

sampled('mail of a rule for a server of LMTP is delivered there, with the sender as it is', async () => {
  await send(workerd.smtp, textOf('for lists'), {
    ignoreTLS: true,
    from: 'eve@stranger.example',
    to: `lists@${DOMAIN}`,
  })
  await eventually(() => listed.length > 0, 'mail at the server of LMTP')
  expect(listed).toEqual([`lists@${DOMAIN}`])
  expect(smarthost.taken.filter(({ bytes }) => bytes.includes('Subject: for lists'))).toEqual([])
})

sampled('mail of a rule for a webhook is posted with a signature, again after a temporary answer', async () => {
  statuses.push(503)
  await send(workerd.smtp, textOf('for the hook'), {
    ignoreTLS: true,
    from: 'eve@stranger.example',
    to: `hook@${DOMAIN}`,
  })
  await eventually(() => posted.length > 1, 'two requests')
  await workerd.running.says(/"message":"message sent on".*"to":"hook@example\.com".*the webhook answered 204/)
  expect(posted).toHaveLength(2)
  for (const { headers, body } of posted) {
    expect(headers).toMatchObject({ 'content-type': 'message/rfc822', 'content-length': String(body.length) })
    expect(JSON.parse(String(headers['postern-envelope']))).toEqual({
      from: 'eve@stranger.example',
      to: `hook@${DOMAIN}`,
    })
    expect(body.toString()).toContain('Subject: for the hook\r\n')
    const hmac = createHmac('sha256', Buffer.alloc(24, 7))
    hmac.update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.`).update(body)
    expect(headers['webhook-signature']).toBe(`v1,${hmac.digest('base64')}`)
  }
  expect(posted[0]?.headers['webhook-id']).toBe(posted[1]?.headers['webhook-id'])
})
