/** `postern dkim`: keys on the disk, and their records in DNS. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { startDnsServer } from '../../../test/kit/dns-server.ts'
import { txtScene } from '../../../test/kit/own-resolver.ts'
import { postern, type Result } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

type Records = Readonly<Record<string, string | readonly string[]>>

interface KeyReport {
  readonly name: string
  readonly selector: string
  readonly type: string
  readonly file: string
  readonly record: string
  readonly signsNow: boolean
  readonly faults: readonly { readonly code: string }[]
}

const run = (cwd: string, line: string, options: Parameters<typeof postern>[1] = {}): Promise<Result> =>
  postern(line.split(' '), { ...options, cwd })

async function keygen(cwd: string, line: string): Promise<KeyReport[]> {
  const { code, stdout, stderr } = await run(cwd, `dkim keygen ${line} --json`)
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^(?:postern: wrote [^\n]+\n)+$/)])
  return JSON.parse(stdout) as KeyReport[]
}

/** A DNS server of a test, and the flag that names it. */
interface Zone extends AsyncDisposable {
  readonly flag: string
}

/** Starts a DNS server with these TXT records. */
async function serveZone(records: Records): Promise<Zone> {
  const server = await startDnsServer(({ key, name, type }) => txtScene(records, key, name, type))
  return {
    flag: `--resolver udp://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

function recordsOf(keys: readonly KeyReport[]): Record<string, string> {
  return Object.fromEntries(keys.map(({ name, record }) => [name, record]))
}

/** Reads the records of a zone file as keygen prints it. */
function parseZone(text: string): Record<string, string> {
  const lines = text
    .replaceAll(/\(\n/g, '')
    .replaceAll(/"\n {2}"/g, '')
    .split('\n')
  return Object.fromEntries(
    lines.slice(0, -1).map((line) => {
      const match = /^(\S+)\. IN TXT +"([^"]+)"(?: \))?$/.exec(line)
      return [match?.[1] ?? line, match?.[2] ?? '']
    }),
  )
}

describe.concurrent('keygen', () => {
  test.each(sample(RUNTIME_NAMES, 1, 5))(
    'on %s makes keys that only their owner can read, and prints records that fit',
    async (name) => {
      const cwd = temporaryDirectory()
      const command = RUNTIMES[name]
      const made = await run(cwd, 'dkim keygen Example.COM --selector Mail', { command })
      expect(made).toMatchObject({
        code: 0,
        stderr: 'postern: wrote dkim/example.com.mail-rsa.pem\npostern: wrote dkim/example.com.mail-ed25519.pem\n',
      })
      expect(statSync(join(cwd, 'dkim')).mode & 0o777).toBe(0o700)
      for (const file of readdirSync(join(cwd, 'dkim')))
        expect(statSync(join(cwd, 'dkim', file)).mode & 0o777).toBe(0o600)
      for (const [text] of made.stdout.matchAll(/"[^"]*"/g)) expect(text.length).toBeLessThanOrEqual(257)
      const records = parseZone(made.stdout)
      expect(Object.keys(records)).toEqual(['mail-rsa', 'mail-ed25519'].map((one) => `${one}._domainkey.example.com`))
      await using zone = await serveZone(records)
      expect(await run(cwd, `dkim check ${zone.flag}`, { command })).toMatchObject({
        code: 0,
        stdout:
          'example.com  mail-ed25519  ed25519  signs  ok\n' + //
          'example.com  mail-rsa      rsa      signs  ok\n',
        stderr: '',
      })
    },
  )

  test('names the keys by day and type, and makes one if it is asked for one', async () => {
    const cwd = temporaryDirectory()
    const both = await keygen(cwd, 'example.com')
    expect(both.map(({ selector }) => selector)).toEqual([
      expect.stringMatching(/^\d{8}-rsa$/),
      expect.stringMatching(/^\d{8}-ed25519$/),
    ])
    const [one, ...others] = await keygen(cwd, 'bücher.example --type rsa --selector x --out keys')
    expect([one?.name, one?.file, others]).toEqual([
      'x._domainkey.xn--bcher-kva.example',
      'keys/xn--bcher-kva.example.x.pem',
      [],
    ])
    expect(one?.record).toMatch(/^v=DKIM1; k=rsa; p=[A-Za-z0-9+/]{390,}=*$/)
  })

  test('replaces a key only with --force, and writes nothing if one of two is there', async () => {
    const cwd = temporaryDirectory()
    const [key] = await keygen(cwd, 'example.com --type ed25519 --selector s-ed25519')
    const path = join(cwd, key?.file ?? '')
    const before = readFileSync(path, 'utf8')
    expect(await run(cwd, 'dkim keygen example.com --selector s')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: `postern: ${key?.file}: it is there already; give another --selector, or --force to replace it\n`,
    })
    expect(readdirSync(join(cwd, 'dkim'))).toEqual(['example.com.s-ed25519.pem'])
    expect(readFileSync(path, 'utf8')).toBe(before)
    await keygen(cwd, 'example.com --selector s --force')
    expect(readFileSync(path, 'utf8')).not.toBe(before)
    expect(readdirSync(join(cwd, 'dkim'))).toEqual(['example.com.s-ed25519.pem', 'example.com.s-rsa.pem'])
  })

  const refused = [
    ['', 'dkim keygen: give the domain that sends the mail'],
    ['a_b..example', 'dkim keygen: "a_b..example" is not a domain such as example.com'],
    ['example.com --selector a.b', '--selector: "a.b" is not letters, digits and hyphens, at most 55'],
    [
      'example.com --signs-from soon',
      '--signs-from: "soon" is not a time such as 2026-12-05 or 2026-12-05T10:00Z, or a time from now such as 2d',
    ],
    ['example.com --signs-until 2020-01-01', '--signs-until: "2020-01-01" is not after the time when the key begins'],
  ] as const
  test.for(sample(refused, 2, 6))('refuses %j', async ([line, message]) => {
    const cwd = temporaryDirectory()
    const refused = await run(cwd, `dkim keygen ${line}`.trim())
    expect(refused).toMatchObject({ code: 2, stdout: '', stderr: `postern: ${message}\n` })
    expect(existsSync(join(cwd, 'dkim'))).toBe(false)
  })
})

test.concurrent('keygen says with one line that it cannot write', async () => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'file'), '')
  const refused = await run(cwd, 'dkim keygen example.com --type ed25519 --selector s --out file')
  expect([refused.code, refused.stdout]).toEqual([2, ''])
  expect(refused.stderr).toMatch(/^postern: file\/example\.com\.s\.pem: it cannot be written: [^\n]+\n$/)
})

describe.concurrent('check', () => {
  const found = [
    ['no record', () => ({}), 'no-record', /: there is no record; publish v=DKIM1; k=ed25519; p=\S+\n$/],
    ['a revoked key', () => 'v=DKIM1; k=ed25519; p=', 'revoked', /: p= is empty: the key is revoked\n$/],
    [
      'a record in test mode',
      (record: string) => record.replace('p=', 't=y; p='),
      'test-mode',
      /: t=y: receivers treat/,
    ],
    ['two records', (record: string) => [record, 'v=spf1 -all'], 'several-records', /: there are 2 TXT records/],
    [
      'another key',
      (record: string) => record.replace(/p=.*/, `p=${'A'.repeat(43)}=`),
      'other-key',
      /: p= is another key/,
    ],
  ] as const
  test.for(sample(found, 2, 7))('finds %s', async ([, change, code, said]) => {
    const cwd = temporaryDirectory()
    const [key] = await keygen(cwd, 'example.com --type ed25519 --selector s')
    const changed = change(key?.record ?? '')
    const records = typeof changed === 'object' && !Array.isArray(changed) ? {} : { [key?.name ?? '']: changed }
    await using zone = await serveZone(records as Records)
    const checked = await run(cwd, `dkim check example.com --json ${zone.flag}`)
    expect([checked.code, checked.stderr.split('\n').length]).toEqual([2, 2])
    expect(checked.stderr).toMatch(/^postern: s\._domainkey\.example\.com: /)
    expect(checked.stderr).toMatch(said)
    const [result] = JSON.parse(checked.stdout) as KeyReport[]
    expect(result).toMatchObject({ domain: 'example.com', selector: 's', type: 'ed25519', bits: 256, signsNow: true })
    expect(result?.faults.map((fault) => fault.code)).toEqual([code])
  })

  test('ends with 1 if no DNS server answers', async () => {
    const cwd = temporaryDirectory()
    await keygen(cwd, 'example.com --type ed25519 --selector s')
    await using server = await startDnsServer(() => ({ rcode: 2 }))
    expect(await run(cwd, `dkim check --resolver udp://127.0.0.1:${server.port}`)).toMatchObject({
      code: 1,
      stdout: 'example.com  s  ed25519  signs  no-answer\n',
      stderr: 'postern: s._domainkey.example.com: no DNS server answers: servfail\n',
    })
  })

  test('says which key signs now, and reads the times that keygen wrote', async () => {
    const cwd = temporaryDirectory()
    const keys = [
      ...(await keygen(cwd, 'example.com --type ed25519 --selector first')),
      ...(await keygen(cwd, 'example.com --type ed25519 --selector second --signs-from 2020-01-01')),
      ...(await keygen(cwd, 'example.com --type ed25519 --selector third --signs-from 2090-01-01')),
      ...(await keygen(cwd, 'example.com --type ed25519 --selector fourth --signs-from 2020-01-01 --signs-until 2d')),
      ...(await keygen(cwd, 'example.org --type ed25519 --selector s')),
    ]
    await using zone = await serveZone(recordsOf(keys))
    const until = /^Signs-Until: (\S+)$/m.exec(readFileSync(join(cwd, keys[3]?.file ?? ''), 'utf8'))?.[1] ?? ''
    expect(Date.parse(until)).toBeGreaterThan(Date.now())
    const { code, stdout } = await run(cwd, `dkim check example.com ${zone.flag}`)
    expect([code, stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '))]).toEqual([
      0,
      [
        'example.com | first | ed25519 | replaced by a newer key | ok',
        'example.com | fourth | ed25519 | replaced by a newer key | ok',
        'example.com | second | ed25519 | signs | ok',
        'example.com | third | ed25519 | signs from 2090-01-01T00:00:00.000Z | ok',
        '',
      ],
    ])
    const one = await run(cwd, `dkim check --selector S ${zone.flag}`)
    expect(one.stdout).toBe('example.org  s  ed25519  signs  ok\n')
  })

  test('finds the keys beside the config file, or where the option dkim says', async () => {
    const cwd = temporaryDirectory()
    const [key] = await keygen(cwd, 'example.com --type ed25519 --selector s --out etc/dkim')
    await using zone = await serveZone(recordsOf([key as KeyReport]))
    writeFileSync(join(cwd, 'etc/postern.config.json'), '{}')
    writeFileSync(join(cwd, 'other.json'), '{ "dkim": "etc/dkim" }')
    const ok = { code: 0, stdout: 'example.com  s  ed25519  signs  ok\n', stderr: '' }
    expect(await run(cwd, `dkim check --config etc/postern.config.json ${zone.flag}`)).toMatchObject(ok)
    expect(await run(cwd, `dkim check --config other.json ${zone.flag}`)).toMatchObject(ok)
    expect(await run(cwd, `dkim check --dkim etc/dkim ${zone.flag}`)).toMatchObject(ok)
    expect(await run(cwd, `dkim check ${zone.flag}`)).toMatchObject({
      code: 2,
      stderr: 'postern: dkim check: there is no key in dkim; postern dkim keygen makes one\n',
    })
    expect(await run(cwd, `dkim check --dkim nowhere ${zone.flag}`)).toMatchObject({
      code: 2,
      stderr: 'postern: --dkim: nowhere: there is no such file\n',
    })
  })

  const files: readonly (readonly [string, string | undefined, string])[] = [
    ['example.com.s.pem', 'no key', 'it has no private key that can be read; a key is a PEM file DOMAIN.SELECTOR.pem'],
    ['s.pem', undefined, '"" is not a domain; a key is a PEM file DOMAIN.SELECTOR.pem'],
    ['example.com.a_b.pem', undefined, '"a_b" is not a selector of one label; a key is a PEM file DOMAIN.SELECTOR.pem'],
    [
      'example.com.s.pem',
      'Signs-Form: 2026-12-05\n',
      '"Signs-Form: 2026-12-05" is not Signs-From: or Signs-Until: with a time such as 2026-12-05T00:00:00Z',
    ],
    [
      'example.com.s.pem',
      'Signs-From: 2026-02-30\n',
      '"Signs-From: 2026-02-30" is not Signs-From: or Signs-Until: with a time such as 2026-12-05T00:00:00Z',
    ],
    ['example.com.s.pem', 'x'.repeat(70_000), 'it has 70000 bytes, more than 65536'],
  ]
  test.for(sample(files, 2, 8))('refuses the file %s with one line', async ([name, text, message]) => {
    const cwd = temporaryDirectory()
    const [key] = await keygen(cwd, 'example.com --type ed25519 --selector s --out made')
    mkdirSync(join(cwd, 'dkim'))
    const pem = readFileSync(join(cwd, key?.file ?? ''), 'utf8')
    writeFileSync(join(cwd, 'dkim', name), text?.startsWith('Signs') === true ? text + pem : (text ?? pem))
    expect(await run(cwd, 'dkim check')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: `postern: dkim/${name}: ${message}\n`,
    })
  })
})
