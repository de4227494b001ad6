/** The example of a Worker that sends on, in `wrangler dev`: mail in R2, the queue in a Durable Object, and users behind a front. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Daemon } from '../../../test/kit/daemon.ts'
import { freePort } from '../../../test/kit/port.ts'
import { Postern, postern } from '../../../test/kit/postern.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { makeCertificate } from '../../../test/peers/served.ts'
import { FRONT_SECRET, READ_TOKEN } from './reading.ts'
import { send } from './sending.ts'
import { Smarthost, SMARTHOST_USER } from './smarthost.ts'
import { parseJsonc, wranglerEnvironment } from './wrangler.ts'

const FOLDER = join(import.meta.dirname, '../relay')
const USER = 'ann@example.com'
const PASSWORD = 'tiger'
const FAR = 'bob@far.example'

let scratch: Scratch
let smarthost: Smarthost
let certificate: Awaited<ReturnType<typeof makeCertificate>>
let wrangler: Daemon
let http: number

beforeAll(async () => {
  scratch = await Scratch.make()
  certificate = await makeCertificate(scratch)
  smarthost = await Smarthost.start({ key: await readFile(certificate.keyFile, 'utf8'), cert: certificate.ca })
  await mkdir(scratch.join('accounts'))
  await postern(['user', 'add', USER], { cwd: scratch.join('accounts'), input: `${PASSWORD}\n` })
  const config = parseJsonc(await readFile(join(FOLDER, 'wrangler.jsonc'), 'utf8'))
  http = await freePort()
  const vars = {
    ...(config['vars'] as object),
    POSTERN_ACCOUNTS: await readFile(scratch.join('accounts/accounts.json'), 'utf8'),
    POSTERN_RELAY: smarthost.url,
    POSTERN_RELAY_FIRST_RETRY_MS: 1_000,
    POSTERN_RULES: JSON.stringify([{ for: 'sales@example.com', do: { forward: 'sales@forward.example' } }]),
    POSTERN_SRS_SECRET: 'srs-0123456789abcdef0123456789abcdef',
    POSTERN_READ_TOKEN: READ_TOKEN,
    POSTERN_FRONT_SECRET: FRONT_SECRET,
  }
  const connect = [{ protocol: 'tcp', port: await freePort(), address: '127.0.0.1' }]
  const file = scratch.join('wrangler.json')
  await writeFile(file, JSON.stringify({ ...config, main: join(FOLDER, 'worker.ts'), vars, connect }))
  const flags = ['--config', file, '--ip', '127.0.0.1', '--port', String(http), '--persist-to', scratch.join('state')]
  wrangler = await Daemon.start(['wrangler', 'dev', ...flags], /Ready on http/, {
    env: { ...wranglerEnvironment(), NODE_EXTRA_CA_CERTS: certificate.caFile },
    isGroup: true,
  })
})
afterAll(async () => {
  await wrangler?.[Symbol.asyncDispose]()
  await smarthost?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})

function textOf(subject: string): Buffer {
  return Buffer.from(
    `From: ${USER}\r\nTo: ${FAR}\r\nMessage-ID: <${subject}@a>\r\nSubject: ${subject}\r\n\r\nHello\r\n`,
  )
}

interface Stats {
  readonly entries: number
}

async function stats(): Promise<Stats> {
  const headers = { authorization: `Bearer ${READ_TOKEN}` }
  return (await (await fetch(`http://127.0.0.1:${http}/queue/stats`, { headers })).json()) as Stats
}

test('a message that a user submits through a front goes on by way of R2, at the second attempt', async () => {
  const { keyFile, caFile, ca } = certificate
  const flags = ['--listen', 'submission://127.0.0.1:0', '--tls-key', keyFile, '--tls-cert', caFile]
  const to = ['--to', `ws://127.0.0.1:${http}/pipe`, '--front-secret', FRONT_SECRET, '--log-format', 'json']
  await using front = await new Postern(['front', ...flags, ...to]).serving()
  smarthost.codes.push(451)
  await send(front.port, textOf('submitted'), {
    requireTLS: true,
    tls: { ca, servername: 'localhost' },
    auth: { user: USER, pass: PASSWORD },
    from: USER,
    to: FAR,
  })
  const [taken, ...more] = await smarthost.about('submitted')
  expect(more).toEqual([])
  expect(taken).toMatchObject({ user: SMARTHOST_USER, isSecure: true })
  expect(taken?.envelope.forwardPaths.map(({ address }) => address)).toEqual([FAR])
  await eventually(async () => (await stats()).entries === 0, 'an empty queue')
})

test('a message of Email Routing that a rule forwards goes on with a rewritten sender', async () => {
  const query = new URLSearchParams({ from: 'eve@stranger.example', to: 'sales@example.com' }).toString()
  const url = `http://127.0.0.1:${http}/cdn-cgi/local/email?${query}`
  expect((await fetch(url, { method: 'POST', body: new Uint8Array(textOf('routed')) })).status).toBe(200)
  const [taken] = await smarthost.about('routed')
  expect(taken?.envelope.forwardPaths.map(({ address }) => address)).toEqual(['sales@forward.example'])
  expect(taken?.envelope.reversePath.address).toMatch(/^SRS0=.*=stranger\.example=eve@example\.com$/)
})
