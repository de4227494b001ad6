/**
 * Logins with every mechanism by clients that others wrote, on Node, Deno and Bun: accounts of `postern user`, and accounts of a config
 * file.
 */
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { RUNTIMES } from '../../apps/server/test/runtimes.ts'
import { CURL_TLS, GSASL, MSMTP_SASL, PYTHON_SMTP } from '../kit/abilities.ts'
import { writeCertificate } from '../kit/certificate.ts'
import { testWith } from '../kit/need.ts'
import { sample } from '../kit/sample.ts'
import { postern, serve, type Postern } from '../kit/postern.ts'
import { Scratch } from '../kit/scratch.ts'
import { runTool, type ToolResult } from '../kit/tool.ts'
import { makeCertificate } from './served.ts'

const USER = 'jane@example.com'
const PASSWORD = 'pa ss:w%rd'
const TOKEN = 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg'
/** Its accounts are not those of a file: they know a token. */
const CONFIG = `export default {
  accounts: { checkToken: (token, user) => (token === '${TOKEN}' ? { user: user || '${USER}' } : undefined) },
}`

const OTHERS = ['deno', 'bun'] as const

let scratch: Scratch
let caFile: string
let tls: string[]
let clientFiles: { key: string; cert: string }

beforeAll(async () => {
  scratch = await Scratch.make()
  const made = await makeCertificate(scratch)
  caFile = made.caFile
  clientFiles = { key: scratch.join('client-key.pem'), cert: scratch.join('client.pem') }
  const { cert } = await writeCertificate(clientFiles.key, clientFiles.cert, { hosts: ['jane.example'], days: 2 })
  tls = [`--tls-key=${made.keyFile}`, `--tls-cert=${caFile}`, '--tls-ca', clientFiles.cert]
  const add = await postern(['user', 'add', USER, '--cram-md5', '--yes'], {
    cwd: scratch.path,
    input: `${PASSWORD}\n`,
  })
  expect(add).toMatchObject({ code: 0, stdout: `added ${USER}\n` })
  const file = scratch.join('accounts.json')
  const data = JSON.parse(await readFile(file, 'utf8')) as { accounts: object[] }
  const fingerprint = new X509Certificate(cert).fingerprint256
  await writeFile(file, JSON.stringify({ ...data, accounts: [{ ...data.accounts[0], certificates: [fingerprint] }] }))
  await writeFile(scratch.join('tokens.mjs'), CONFIG)
  await writeFile(scratch.join('message.eml'), `From: ${USER}\r\n\r\nHello\r\n`)
})
afterAll(() => scratch?.[Symbol.asyncDispose]())

describe.each(['node', ...sample(OTHERS, 1)] as const)('on %s', (name) => {
  let server: Postern
  let tokens: Postern

  beforeAll(async () => {
    const options = { cwd: scratch.path, command: RUNTIMES[name] }
    const listen = ['--listen=smtp://127.0.0.1:0', '--store=memory:', '--log-format=json', ...tls]
    ;[server, tokens] = await Promise.all([
      serve([...listen, '--client-certificates=request', '--hostname=mx.postern.example'], options),
      serve([...listen, '--config=tokens.mjs', '--hostname=mx.postern.example'], options),
    ])
  })
  afterAll(() => Promise.all([server?.[Symbol.asyncDispose](), tokens?.[Symbol.asyncDispose]()]))

  /** Returns the log's line of a login that failed. */
  async function refused(): Promise<void> {
    await server.says(/"message":"login refused".*"user":"jane@example.com"/)
  }

  async function gsasl(mechanism: string, password: string, flags: readonly string[]): Promise<ToolResult> {
    await using shim = await greetingShim(server.port)
    const at = flags.includes('--starttls') ? shim.port : server.port
    const login = ['--mechanism', mechanism, '-a', USER, '-p', password, '--x509-ca-file', caFile]
    return await runTool('gsasl', ['--smtp', `--connect=localhost:${at}`, ...login, ...flags])
  }

  // GNU SASL binds to 'tls-exporter' under TLS 1.3, which Deno does not give.
  const bound = name === 'deno' ? [] : [['SCRAM-SHA-256-PLUS', ['--starttls']] as const]
  for (const [mechanism, flags] of [
    ['SCRAM-SHA-256', ['--no-starttls']] as const,
    ['SCRAM-SHA-256', ['--starttls', '--no-cb']] as const,
    ...bound,
  ]) {
    testWith([GSASL], `GNU SASL logs in with ${mechanism} ${flags.join(' ')}`, async () => {
      const right = await gsasl(mechanism, PASSWORD, flags)
      expect(right.stdout.toString() + right.stderr).toMatch(/235 2\.7\.0 [\s\S]*server trusted/)
      const wrong = await gsasl(mechanism, 'wrong', flags)
      expect(wrong.stdout.toString() + wrong.stderr).toContain('535 5.7.8 ')
      await refused()
    })
  }

  async function msmtp(at: Postern, auth: string, password: string, more: readonly string[] = []): Promise<ToolResult> {
    const flags = ['--tls=on', '--tls-starttls=on', `--tls-trust-file=${caFile}`, ...more]
    return runTool(
      'msmtp',
      [
        '--file=/dev/null',
        '--host=localhost',
        `--port=${at.port}`,
        ...flags,
        `--auth=${auth}`,
        `--user=${USER}`,
      ].concat([`--passwordeval=printf %s '${password}'`, `--from=${USER}`, USER]),
      { input: `From: ${USER}\n\nHello\n` },
    )
  }

  testWith([MSMTP_SASL], 'msmtp logs in with PLAIN, LOGIN, SCRAM-SHA-256 and CRAM-MD5', async () => {
    for (const auth of ['plain', 'login', 'scram-sha-256', 'cram-md5']) {
      const { code, stderr } = await msmtp(server, auth, PASSWORD)
      expect({ auth, code, stderr }).toEqual({ auth, code: 0, stderr: '' })
      const wrong = await msmtp(server, auth, 'wrong')
      expect({ auth, code: wrong.code, text: wrong.stderr }).toMatchObject({ auth, code: 77 })
      // Another failed login of this address would have to wait longer.
      expect((await msmtp(server, 'plain', PASSWORD)).code).toBe(0)
    }
  })

  testWith([MSMTP_SASL], 'msmtp logs in with OAUTHBEARER and XOAUTH2', async () => {
    for (const auth of ['oauthbearer', 'xoauth2']) {
      const { code, stderr } = await msmtp(tokens, auth, TOKEN)
      expect({ auth, code, stderr }).toEqual({ auth, code: 0, stderr: '' })
      expect((await msmtp(tokens, auth, 'wrong')).code).toBe(77)
      expect((await msmtp(tokens, auth, TOKEN)).code).toBe(0)
    }
  })

  testWith([CURL_TLS], 'curl logs in with a client certificate by EXTERNAL, and with a token', async () => {
    const curl = (port: number, ...more: string[]): Promise<ToolResult> =>
      runTool('curl', ['-sS', '--ssl-reqd', '--cacert', caFile, `smtp://localhost:${port}/client.example`, ...more])
    const send = ['--mail-from', USER, '--mail-rcpt', USER, '--upload-file', scratch.join('message.eml')]
    const certificate = ['--cert', clientFiles.cert, '--key', clientFiles.key, '--login-options', 'AUTH=EXTERNAL']
    const external = await curl(server.port, ...certificate, '--user', `${USER}:`, ...send)
    expect({ code: external.code, stderr: external.stderr }).toEqual({ code: 0, stderr: '' })
    await server.says(/"message":"message kept".*"user":"jane@example.com"/)
    for (const mechanism of ['OAUTHBEARER', 'XOAUTH2']) {
      const token = ['--user', USER, '--oauth2-bearer', TOKEN, '--login-options', `AUTH=${mechanism}`]
      const { code, stderr } = await curl(tokens.port, ...token, ...send)
      expect({ mechanism, code, stderr }).toEqual({ mechanism, code: 0, stderr: '' })
    }
  })

  testWith([PYTHON_SMTP], "Python's smtplib logs in with the first mechanism that it knows: CRAM-MD5", async () => {
    const script = `
import smtplib, ssl, sys
s = smtplib.SMTP('localhost', int(sys.argv[1]))
s.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
s.set_debuglevel(1)
print(s.login('${USER}', '${PASSWORD}'))`
    const { code, stdout, stderr } = await runTool('python3', ['-c', script, String(server.port), caFile])
    expect({ code, stdout: stdout.toString() }).toEqual({
      code: 0,
      stdout: "(235, b'2.7.0 Authentication succeeded')\n",
    })
    expect(stderr).toContain("send: 'AUTH CRAM-MD5\\r\\n'")
  })
})

/** GNU SASL sends STARTTLS before EHLO. This says EHLO in its place, and passes everything else on. */
async function greetingShim(port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const shim = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    let seen = ''
    const read = (bytes: Buffer): void => {
      seen += bytes.toString('latin1')
      const [greeting, ...rest] = seen.split(/(?<=\r\n)/)
      if (rest.length === 0) return void server.write('EHLO shim.example\r\n')
      if (!/^250 /m.test(seen)) return
      server.off('data', read)
      client.write(greeting ?? '')
      server.pipe(client)
      client.pipe(server)
    }
    server.on('data', read)
    for (const socket of [client, server]) socket.on('error', () => {})
  })
  shim.listen(0, '127.0.0.1')
  await once(shim, 'listening')
  return {
    port: (shim.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      shim.close()
    },
  }
}
