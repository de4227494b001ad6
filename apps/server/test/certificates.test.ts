/**
 * Every state that certificate files can have. Each is opened, or refused in one correct line, in the same way on each
 * runtime.
 */
import { spawnSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { expect, test, vi } from 'vitest'
import { selfSigned, type SelfSignedCertificate } from '@postern/runtime/tls'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { run, serve } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const PASSPHRASE = 'open it'
const folder = temporaryDirectory()
const path = (name: string): string => join(folder, name)
const write = (name: string, content: string | Uint8Array): void => writeFileSync(path(name), content)

async function madeAt(days: number): Promise<SelfSignedCertificate> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * 86_400_000 })
  try {
    return await selfSigned({ days: 1 })
  } finally {
    vi.useRealTimers()
  }
}

const { key, cert } = await selfSigned()
const other = await selfSigned()
const past = await madeAt(-30)
const future = await madeAt(30)
const crlf = (text: string): string => text.replaceAll('\n', '\r\n')
const opened = createPrivateKey(key)
const lock = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE, format: 'pem' } as const

write('key', key)
write('cert', cert)
write('other.key', other.key)
write('past.key', past.key)
write('past.cert', past.cert)
write('future.key', future.key)
write('future.cert', future.cert)
write('empty', '')
write('der.key', opened.export({ type: 'pkcs8', format: 'der' }))
write('der.cert', new X509Certificate(cert).raw)
write('pkcs8.locked', opened.export({ type: 'pkcs8', ...lock }))
write('sec1.locked', opened.export({ type: 'sec1', ...lock }))
write('sec1', opened.export({ type: 'sec1', format: 'pem' }))
write('public', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }))
write('windows.key', `\uFEFF${crlf(key)}`)
write('windows.cert', `\uFEFF${crlf(cert)}`)
write('notes.key', `Bag Attributes\n  friendlyName: mx\n${key}\nmade by hand\n`)
write('notes.cert', `subject=CN = mx\n${cert}\nand more\n`)
write('keys', key + other.key)
write('both', key + cert)
write('chain', cert + other.cert)
write('wrong order', other.cert + cert)
write('broken chain', `${cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`)
write('broken.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n')
write('cut.key', key.slice(0, 100))
write('cut.cert', cert.slice(0, 300))
write('wide.key', Buffer.from(key, 'utf16le'))
write('huge', '')
truncateSync(path('huge'), 300 * 1024 * 1024)
mkdirSync(path('directory'))
mkdirSync(path('live'))
symlinkSync('../key', path('live/privkey.pem'))
symlinkSync('../cert', path('live/fullchain.pem'))
symlinkSync('nothing', path('dangling'))
spawnSync('mkfifo', [path('fifo')])
write('private', key)
chmodSync(path('private'), 0)

/** The key, the certificate, other flags, and the result. */
type Row = readonly [key: string, cert: string, flags: Readonly<Record<string, string>>, outcome: string | RegExp]

const ROWS: readonly Row[] = [
  ['key', 'cert', {}, 'opened'],
  ['sec1', 'cert', {}, 'opened'],
  ['live/privkey.pem', 'live/fullchain.pem', {}, 'opened'],
  ['key', 'chain', {}, 'opened'],
  ['both', 'both', {}, 'opened'],
  ['keys', 'cert', {}, 'opened'],
  ['windows.key', 'windows.cert', {}, 'opened'],
  ['notes.key', 'notes.cert', {}, 'opened'],
  ['past.key', 'past.cert', {}, 'opened, a certificate has expired'],
  ['future.key', 'future.cert', {}, 'opened, a certificate is not valid yet'],
  ['key', 'cert', { tlsPassphrase: PASSPHRASE }, 'opened'],
  ['key', 'cert', { tlsCa: 'chain' }, 'opened'],
  ['key/nowhere', 'cert', {}, '--tls-key key/nowhere: a part of its path is not a directory'],
  ['nowhere', 'cert', {}, '--tls-key nowhere: there is no such file; name a PEM file'],
  ['key', 'nowhere', {}, '--tls-cert nowhere: there is no such file; name a PEM file'],
  ['dangling', 'cert', {}, '--tls-key dangling: there is no such file; name a PEM file'],
  ['directory', 'cert', {}, '--tls-key directory: it is not a regular file; name a PEM file'],
  ['key', 'directory', {}, '--tls-cert directory: it is not a regular file; name a PEM file'],
  ['fifo', 'cert', {}, '--tls-key fifo: it is not a regular file; name a PEM file'],
  ['key', 'fifo', {}, '--tls-cert fifo: it is not a regular file; name a PEM file'],
  ['key', 'cert', { tlsCa: 'fifo' }, '--tls-ca fifo: it is not a regular file; name a PEM file'],
  ['/dev/zero', 'cert', {}, '--tls-key /dev/zero: it is not a regular file; name a PEM file'],
  ['empty', 'cert', {}, '--tls-key empty: the file is empty'],
  ['key', 'empty', {}, '--tls-cert empty: the file is empty'],
  ['key', 'cert', { tlsCa: 'empty' }, '--tls-ca empty: the file is empty'],
  ['huge', 'cert', {}, '--tls-key huge: it has 314572800 bytes, too many for a PEM file'],
  [
    'der.key',
    'cert',
    {},
    '--tls-key der.key: there is no private key in PEM; it is DER or PKCS #12; convert it to PEM by openssl',
  ],
  [
    'key',
    'der.cert',
    {},
    '--tls-cert der.cert: there is no certificate in PEM; it is DER or PKCS #12; convert it to PEM by openssl',
  ],
  ['cert', 'key', {}, '--tls-key cert: there is no private key in PEM; it contains CERTIFICATE'],
  ['key', 'key', {}, '--tls-cert key: there is no certificate in PEM; it contains PRIVATE KEY'],
  ['public', 'cert', {}, '--tls-key public: there is no private key in PEM; it contains PUBLIC KEY'],
  ['cut.key', 'cert', {}, '--tls-key cut.key: there is no private key in PEM; name a PEM file'],
  ['wide.key', 'cert', {}, '--tls-key wide.key: there is no private key in PEM; name a PEM file'],
  ['key', 'cut.cert', {}, '--tls-cert cut.cert: there is no certificate in PEM; name a PEM file'],
  ['broken.key', 'cert', {}, /^--tls-key broken\.key: the key can't be read: ./],
  ['key', 'broken chain', {}, /^--tls-cert broken chain: certificate 2 of 2 can't be read: ./],
  ['other.key', 'cert', {}, '--tls-key other.key and --tls-cert cert: the key does not belong to the certificate'],
  [
    'key',
    'wrong order',
    {},
    '--tls-key key and --tls-cert wrong order: the key belongs to certificate 2 of 2, which must be the first in its file',
  ],
  ...['pkcs8.locked', 'sec1.locked'].flatMap((file): Row[] => [
    [file, 'cert', { tlsPassphrase: PASSPHRASE }, 'opened'],
    [
      file,
      'cert',
      {},
      `--tls-key ${file}: the key is encrypted; give its passphrase as --tls-passphrase or POSTERN_TLS_PASSPHRASE`,
    ],
    [file, 'cert', { tlsPassphrase: 'wrong' }, `--tls-key ${file}: the passphrase is wrong; check --tls-passphrase`],
  ]),
  ...(process.getuid?.() === 0
    ? []
    : [['private', 'cert', {}, '--tls-key private: this user may not read it'] as const]),
]

test.concurrent.each(RUNTIME_NAMES)(
  'certificate files are opened, or refused with a correct reason, on %s',
  async (name) => {
    const [file, ...before] = RUNTIMES[name]
    const flags = ROWS.map(([tlsKey, tlsCert, more]) => ({ tlsKey, tlsCert, ...more }))
    const program = join(import.meta.dirname, 'certificates-program.ts')
    const { stdout, stderr } = await run(file, [...before, program, JSON.stringify(flags)], { cwd: folder })
    const outcomes = JSON.parse(stdout.trim() || '[]') as string[]
    expect(outcomes, stderr).toEqual(
      ROWS.map(([, , , outcome]) => (typeof outcome === 'string' ? outcome : expect.stringMatching(outcome))),
    )
  },
)

async function subjectOf(port: number, servername?: string): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...(servername && { servername }) })
  await once(socket, 'secureConnect')
  const { subjectAltName = '' } = socket.getPeerX509Certificate() ?? {}
  socket.destroy()
  return subjectAltName
}

test.concurrent.each(RUNTIME_NAMES)(
  'a certificate is used from files with other content around it, on %s',
  async (name) => {
    const cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'key.pem'), `\uFEFF${crlf(readFileSync(path('sec1.locked'), 'utf8') + other.key)}`)
    writeFileSync(join(cwd, 'cert.pem'), `\uFEFFsubject=mx\r\n${crlf(cert)}and more`)
    const flags = [
      '--tls-key',
      'key.pem',
      '--tls-cert',
      'cert.pem',
      '--tls-passphrase',
      PASSPHRASE,
      '--store',
      'memory:',
    ]
    const { ports } = await serve(['--listen', 'smtps://127.0.0.1:0', ...flags], { cwd, command: RUNTIMES[name] })
    expect(await subjectOf(ports[0] ?? 0)).toContain('DNS:localhost')
  },
)

test('the server accepts the sni example of the documentation', async () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/configuration.md'), 'utf8')
  const [, example] = /`(\{ 'mx\.example\.org': \{[^`]*\} \})`/.exec(page) ?? []
  const cwd = temporaryDirectory()
  const host = await selfSigned({ hosts: ['mx.example.org'] })
  writeFileSync(join(cwd, 'key.pem'), host.key)
  writeFileSync(join(cwd, 'cert.pem'), host.cert)
  const own = `store: 'memory:', tlsKey: ${JSON.stringify(path('key'))}, tlsCert: ${JSON.stringify(path('cert'))}`
  writeFileSync(join(cwd, 'postern.config.mjs'), `export default { ${own}, sni: ${example} }`)
  const { ports } = await serve(['--config', 'postern.config.mjs', '--listen', 'smtps://127.0.0.1:0'], { cwd })
  expect(await subjectOf(ports[0] ?? 0, 'mx.example.org')).toBe('DNS:mx.example.org')
  expect(await subjectOf(ports[0] ?? 0)).toContain('DNS:localhost')
})

test('an error about a passphrase names the option as the user wrote it', async () => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'key.pem'), readFileSync(path('pkcs8.locked')))
  writeFileSync(join(cwd, 'cert.pem'), cert)
  const sni = "{ 'mx.example.org': { tlsKey: 'key.pem', tlsCert: 'cert.pem' } }"
  writeFileSync(join(cwd, 'postern.config.mjs'), `export default { selfSigned: true, sni: ${sni} }`)
  const main = resolve(import.meta.dirname, '../main.js')
  const { code, stderr } = await run(process.execPath, [main, 'serve'], { cwd })
  expect([code, stderr]).toEqual([
    2,
    'postern: sni in postern.config.mjs, mx.example.org, tlsKey key.pem: the key is encrypted; give its passphrase as tlsPassphrase\n',
  ])
  const variable = await run(
    process.execPath,
    [main, 'serve', '--tls-key', 'key.pem', '--tls-cert', 'cert.pem', '--no-self-signed'],
    {
      cwd,
      env: { POSTERN_TLS_PASSPHRASE: 'wrong' },
    },
  )
  expect(variable.stderr).toMatch(/^postern: --tls-key key\.pem: the passphrase is wrong; check POSTERN_TLS_PASSPHRASE/)
})
