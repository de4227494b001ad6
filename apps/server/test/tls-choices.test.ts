/** The least version, ciphers, several certificates for one host, and renegotiation, as openssl sees them on each runtime. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test as every } from 'vitest'
import { OPENSSL } from '../../../test/kit/abilities.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { testWith as everyWith } from '../../../test/kit/need.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { runTool } from '../../../test/kit/tool.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { partly } from '../../../test/kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)
const testWith = partly(everyWith)

const folder = temporaryDirectory()
const KINDS = {
  rsa: ['-newkey', 'rsa:2048'],
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
} as const
const PAIRS = ['--tls-key', 'rsa.key', '--tls-cert', 'rsa.crt', '--tls-key', 'ec.key', '--tls-cert', 'ec.crt']
const HOST = `{ 'mx.example': { tlsKey: ['host-rsa.key', 'host-ec.key'], tlsCert: ['host-rsa.crt', 'host-ec.crt'] } }`
const CIPHERS = ['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384']

beforeAll(async () => {
  if (OPENSSL.missing !== undefined) return
  for (const name of ['rsa', 'ec', 'host-rsa', 'host-ec', 'more-rsa']) {
    const kind = KINDS[name.endsWith('rsa') ? 'rsa' : 'ec']
    const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`]
    const args = ['req', '-x509', '-nodes', ...kind, ...files, '-subj', `/CN=${name}.test`, '-days', '90']
    expect(await runTool('openssl', args, { cwd: folder })).toMatchObject({ code: 0 })
  }
})

/** Returns the subject of the server's certificate and the protocol, or 'refused'. */
async function shake(port: number, ...flags: string[]): Promise<string> {
  const { stdout, code } = await runTool('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...flags])
  const said = stdout.toString()
  if (code !== 0) return 'refused'
  return `${/^subject=.*CN ?= ?(\S+)/m.exec(said)?.[1]} ${/^New, (\S+),/m.exec(said)?.[1]}`
}

describe.each(sample(['node', 'bun'] as const, 1))('on %s', (name) => {
  testWith([OPENSSL], 'each client gets the certificate that it can verify, and only ciphers of the list', async () => {
    const sni = name === 'bun' ? HOST : `{ 'mx.example': { tlsKey: 'host-rsa.key', tlsCert: ['host-rsa.crt'] } }`
    writeFileSync(join(folder, `${name}.config.mjs`), `export default { store: 'memory:', sni: ${sni} }`)
    const flags = ['--config', `${name}.config.mjs`, ...PAIRS, '--tls-ciphers', CIPHERS.join(':')]
    const { port } = await serve(['--listen', 'smtps://127.0.0.1:0', ...flags], {
      cwd: folder,
      command: RUNTIMES[name],
    })
    const host = ['-servername', 'mx.example']
    expect({
      rsaByCipher: await shake(port, '-tls1_2', '-cipher', 'aRSA'),
      ecByCipher: await shake(port, '-tls1_2', '-cipher', 'aECDSA'),
      rsa: await shake(port, '-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256'),
      ec: await shake(port, '-tls1_3', '-sigalgs', 'ecdsa_secp256r1_sha256'),
      hostRsa: await shake(port, '-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256', ...host),
      ...(name === 'bun' && { hostEc: await shake(port, '-tls1_2', '-cipher', 'aECDSA', ...host) }),
      otherCipher: await shake(port, '-tls1_2', '-cipher', 'ECDHE+AES128'),
      oldVersion: await shake(port, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'),
    }).toEqual({
      rsaByCipher: 'rsa.test TLSv1.2',
      ecByCipher: 'ec.test TLSv1.2',
      rsa: 'rsa.test TLSv1.3',
      ec: 'ec.test TLSv1.3',
      hostRsa: 'host-rsa.test TLSv1.3',
      ...(name === 'bun' && { hostEc: 'host-ec.test TLSv1.2' }),
      otherCipher: 'refused',
      oldVersion: 'refused',
    })
  })

  testWith([OPENSSL], 'TLS 1.0 is allowed if it is the least version', async () => {
    const flags = ['--tls-key', 'rsa.key', '--tls-cert', 'rsa.crt', '--tls-min-version', 'TLSv1', '--store', 'memory:']
    const { port } = await serve(['--listen', 'smtps://127.0.0.1:0', ...flags], {
      cwd: folder,
      command: RUNTIMES[name],
    })
    expect(await shake(port, '-tls1', '-cipher', 'ALL:@SECLEVEL=0')).toBe('rsa.test TLSv1.0')
    expect(await shake(port, '-tls1_3')).toBe('rsa.test TLSv1.3')
  })

  test('ciphers that the runtime does not know are refused', async () => {
    const args = ['serve', '--self-signed', '--store', 'memory:', '--tls-ciphers', 'NO-SUCH']
    const { code, stderr } = await postern(args, { command: RUNTIMES[name] })
    expect([code, stderr]).toEqual([
      2,
      'postern: --tls-ciphers NO-SUCH: it allows no cipher of this runtime; `openssl ciphers` lists names\n',
    ])
  })
})

describe.each(sample(RUNTIME_NAMES, 1))('on %s', (name) => {
  testWith([OPENSSL], 'TLS 1.2 is refused if TLS 1.3 is the least version', async () => {
    const flags = ['--self-signed', '--tls-min-version', 'TLSv1.3', '--store', 'memory:']
    const { port } = await serve(['--listen', 'smtps://127.0.0.1:0', ...flags], { command: RUNTIMES[name] })
    expect(await shake(port, '-tls1_2')).toBe('refused')
    expect(await shake(port, '-tls1_3')).toMatch(/ TLSv1\.3$/)
  })

  testWith([OPENSSL], 'a client that renegotiates is refused, and its connection ends', async () => {
    const flags = ['--self-signed', '--store', 'memory:']
    const { port } = await serve(['--listen', 'smtps://127.0.0.1:0', ...flags], { command: RUNTIMES[name] })
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2', '-crlf'])
    onTestFinished(() => {
      client.kill()
    })
    let said = ''
    client.stderr.on('data', (bytes) => (said += bytes))
    client.stdin.on('error', () => {})
    const closed = once(client, 'close')
    for await (const bytes of client.stdout) {
      // openssl takes a line with R alone as its own command.
      if (String(bytes).includes('220 ')) client.stdin.write('R\n')
      said += bytes
    }
    await closed
    expect(said).toMatch(/^RENEGOTIATING$/m)
    expect(said).toMatch(/no renegotiation/)
  })
})

const REFUSED_BY_DENO: readonly (readonly [readonly string[], string])[] = [
  [PAIRS, '--tls-key: Deno uses one certificate for a host; give one, or use Node or Bun'],
  [
    ['--self-signed', '--tls-min-version', 'TLSv1.1'],
    '--tls-min-version TLSv1.1: Deno has only TLSv1.2 and TLSv1.3; use Node or Bun for older ones',
  ],
  [['--self-signed', '--tls-ciphers', 'HIGH'], "--tls-ciphers: Deno can't choose ciphers; use Node or Bun"],
]
test.each(sample(REFUSED_BY_DENO, 1))('Deno refuses %j', async (flags, line) => {
  const args = ['serve', '--store', 'memory:', ...flags]
  const { code, stderr } = await postern(args, { command: RUNTIMES.deno, cwd: folder })
  expect([code, stderr]).toEqual([2, `postern: ${line}\n`])
})

test.each(sample(['TLS_AES_128_GCM_SHA256', '@SECLEVEL=0'], 1))('Bun refuses the cipher %s', async (cipher) => {
  const args = ['serve', '--store', 'memory:', '--self-signed', '--tls-ciphers', `HIGH:${cipher}`]
  const { code, stderr } = await postern(args, { command: RUNTIMES.bun })
  expect([code, stderr]).toEqual([
    2,
    `postern: --tls-ciphers: Bun can't choose ${cipher}; it has fixed ciphers for TLS 1.3, and no levels\n`,
  ])
})

const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [
    ['--self-signed', '--tls-min-version', 'TLSv1.4'],
    /^postern: --tls-min-version: "TLSv1.4" is not one of TLSv1, TLSv1.1, /,
  ],
  [['--self-signed', '--tls-ciphers', 'a b'], /^postern: --tls-ciphers: "a b" is not a list of OpenSSL's names/],
  [['--tls-ciphers', 'HIGH'], /^postern: --tls-ciphers: needs a certificate/],
  [
    ['--tls-key', 'rsa.key', '--tls-key', 'ec.key', '--tls-cert', 'rsa.crt'],
    /^postern: --tls-key and --tls-cert: there are 2 keys and 1 certificates; give one certificate for each key, /,
  ],
]
test.each(sample(REFUSED, 1))('the server refuses %j in one line', async (flags, line) => {
  const { code, stderr } = await postern(['serve', '--store', 'memory:', ...flags])
  expect([code, stderr.split('\n').length]).toEqual([2, 2])
  expect(stderr).toMatch(line)
})

test('Node refuses two certificates for a host of sni', async () => {
  writeFileSync(join(folder, 'hosts.config.mjs'), `export default { selfSigned: true, store: 'memory:', sni: ${HOST} }`)
  const { code, stderr } = await postern(['serve', '--config', 'hosts.config.mjs'], { cwd: folder })
  expect([code, stderr]).toEqual([
    2,
    'postern: sni in hosts.config.mjs, mx.example, tlsKey: Node uses one certificate for a host of sni; give one, or use Bun\n',
  ])
})

testWith([OPENSSL], 'the server refuses two keys of the same type', async () => {
  const more = ['--tls-key', 'more-rsa.key', '--tls-cert', 'more-rsa.crt']
  const args = ['serve', '--store', 'memory:', '--tls-key', 'rsa.key', '--tls-cert', 'rsa.crt', ...more]
  const { code, stderr } = await postern(args, { cwd: folder })
  expect([code, stderr]).toEqual([
    2,
    'postern: --tls-key rsa.key and more-rsa.key: both keys are rsa; a client can get only one of them\n',
  ])
})
