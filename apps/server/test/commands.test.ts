import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkDocument } from '@postern/storage/document'
import { beforeAll, describe, expect, test } from 'vitest'
import { PYTHON, TERMINAL } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { fill, listed, SAMPLES, type SampleName, sampleId, storedBytes } from './mail.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { cleanEnvironment, MAIN, postern, run } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const python = promisify(execFile)
const samples = Object.values(SAMPLES)
const names = Object.keys(SAMPLES) as SampleName[]
const idOf = (name: SampleName): string => sampleId(names.indexOf(name))

let cwd: string

beforeAll(async () => {
  cwd = temporaryDirectory()
  await fill(join(cwd, 'mail'), samples)
})

/** Replaces CRLF by LF, as files of mail on Unix have it. */
function lineFeeds(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
}

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/

describe.concurrent('list', () => {
  test('prints a table, newest first', async () => {
    const { stdout, stderr, code } = await postern(['list'], { cwd })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^ID +RECEIVED +SIZE +FROM +TO +SUBJECT$/)
    expect(lines.slice(1).map((line) => line.slice(0, 26))).toEqual(names.map(idOf).toReversed())
    expect(lines[1]).toMatch(/ 2025-11-21 10:00:09Z +\d+ B +<> +<one@example\.com> and 2 more$/)
    expect([stderr, code]).toEqual(['', 0])
  })

  test('prints a page and the command for the next one', async () => {
    const first = await postern(['list', '--limit', '6'], { cwd })
    expect(first.stdout.trimEnd().split('\n')).toHaveLength(7)
    const cursor = /^More: .* list --cursor (\S+)\n$/.exec(first.stderr)?.[1] ?? ''
    const second = await postern(['list', '--limit', '6', '--cursor', cursor], { cwd })
    expect(second.stdout.trimEnd().split('\n')).toHaveLength(5)
    expect(second.stderr).toBe('')
    expect(second.stdout).toContain(idOf('plain'))
  })

  test('prints JSON with --json', async () => {
    const { stdout } = await postern(['list', '--json', '--limit', '1'], { cwd })
    const page = JSON.parse(stdout)
    expect(page).toMatchObject({ records: [{ id: idOf('bounce'), reversePath: { address: '' } }], corrupt: [] })
    expect(page.cursor).toBeTypeOf('string')
  })

  test('refuses an invalid cursor', async () => {
    const { stderr, code } = await postern(['list', '--cursor', '../x'], { cwd })
    expect(stderr).toBe('postern: --cursor: "../x" is not a cursor of this list\n')
    expect(code).toBe(2)
  })

  test('handles an empty store and bounced messages', async () => {
    const { stdout, stderr, code } = await postern(['list', '--bounced'], { cwd })
    expect([stdout, stderr, code]).toEqual(['', 'No mail in fs:./mail.\n', 0])
  })
})

describe.concurrent('show', () => {
  test('prints envelope, header and text', async () => {
    const { stdout, code } = await postern(['show', idOf('plain')], { cwd })
    expect(stdout).toMatch(/^Message +01KA/)
    expect(stdout).toMatch(/^Received +2025-11-21T10:00:00\.000Z from 192\.0\.2\.1:1234, EHLO client\.example$/m)
    expect(stdout).toMatch(/^From +<a@example\.com>$/m)
    expect(stdout).toMatch(/^To +<b@example\.com>$/m)
    expect(stdout).toMatch(
      /\n\nReceived: from client\.example[\s\S]*\nSubject: Plain\nFrom: a@example\.com\n\nHello\.\n$/,
    )
    expect(code).toBe(0)
  })

  test.each(sample(names, 1))('prints the stored bytes of %s with --raw', async (name) => {
    const { bytes, stderr } = await postern(['show', '--raw', idOf(name)], { cwd })
    expect(bytes.equals(storedBytes(SAMPLES[name]))).toBe(true)
    expect(stderr).toBe('')
  })

  test('prints a document with --json', async () => {
    const { stdout } = await postern(['show', '--json', idOf('eightBit')], { cwd })
    const document = checkDocument(JSON.parse(stdout))
    expect(document).toMatchObject({
      version: 1,
      record: { id: idOf('eightBit'), size: storedBytes(SAMPLES.eightBit).length },
      summary: { subject: 'Grüße' },
      text: { value: 'äöü\n', from: 'plain', isCut: false, blocks: [{ kind: 'text', firstLine: 1, lastLine: 1 }] },
      parts: [{ section: '1', type: 'text/plain', isAttachment: false }],
    })
  })

  test('reads 8-bit text as UTF-8, or else as Latin-1', async () => {
    expect((await postern(['show', idOf('utf8')], { cwd })).stdout).toContain('Subject: Grüße 🐦')
    expect((await postern(['show', idOf('eightBit')], { cwd })).stdout).toContain('Subject: Grüße\n\näöü')
  })

  test('prints only the beginning of a long message', async () => {
    const own = temporaryDirectory()
    const [record] = await fill(join(own, 'mail'), [{ bytes: `Subject: Long\r\n\r\n${'A line.\r\n'.repeat(20_000)}` }])
    const { stdout } = await postern(['show', record?.id ?? ''], { cwd: own })
    expect(stdout.split('\n').length).toBeLessThan(70)
    expect(stdout).toMatch(/\n\(There is more: .* show --raw 01KA\w+\)\n$/)
  })

  test.each([
    ['an unknown id', 1, sampleId(500), /^postern: "\w{26}": there is no such message\n$/],
    ['an invalid id', 2, '../../etc/passwd', /^postern: "\.\.\/\.\.\/etc\/passwd" is not a message id\n$/],
    ['an invalid id with an escape sequence', 2, '\x1b[2J', /^postern: "\\u001b\[2J" is not a message id\n$/],
  ])('fails with one line for %s, and exit code %i', async (_, exitCode, id, line) => {
    const { stdout, stderr, code } = await postern(['show', id], { cwd })
    expect(stderr).toMatch(line)
    expect([stdout, code]).toEqual(['', exitCode])
  })

  test('refuses --json and --raw together', async () => {
    const { stdout, stderr, code } = await postern(['show', '--json', '--raw', idOf('plain')], { cwd })
    expect(stderr).toBe("postern: option '--json' cannot be used with option '--raw'; see: postern --help\n")
    expect([stdout, code]).toEqual(['', 2])
  })
})

test('escape sequences in mail never reach the terminal', async () => {
  const shown = await postern(['show', idOf('hostile')], { cwd })
  // A decoded field has blanks in place of controls.
  expect(shown.stdout).toMatch(/^Subject:  \[2J \]0;owned ?$/m)
  expect(shown.stdout).toContain('\\x1b[31mred\\x1b[0m\ttab')
  expect(shown.stdout).toContain('X: \\u{202e}txt.exe  31m')
  const table = await postern(['list'], { cwd })
  expect(table.stdout).toContain('<"\\\\x07\\x9ba"@example.com>')
  const json = await postern(['list', '--json'], { cwd })
  expect(JSON.parse(json.stdout).records[1].reversePath.address).toBe('"\\\u0007\u009ba"@example.com')
  for (const { stdout } of [shown, table, json]) expect(stdout.replaceAll('\ttab', '')).not.toMatch(CONTROLS)
})

describe.concurrent('export', () => {
  testWith([PYTHON], 'writes an mbox that Python reads', async () => {
    const output = join(temporaryDirectory(), 'mail.mbox')
    const { stdout, stderr, code } = await postern(['export', '--format', 'mbox', '--output', output], { cwd })
    expect([stdout, stderr, code]).toEqual(['', `${names.length} messages written to ${output}\n`, 0])
    const script = `
import mailbox, json, sys, base64
box = mailbox.mbox(sys.argv[1], create=False)
print(json.dumps([[m.get_from(), base64.b64encode(box.get_bytes(k)).decode()] for k, m in box.iteritems()]))`
    const found: [string, string][] = JSON.parse((await python('python3', ['-c', script, output])).stdout)
    expect(found).toHaveLength(names.length)
    for (const [i, [from, base64]] of found.entries()) {
      const sample = samples[i] ?? { bytes: '' }
      const quoted = lineFeeds(storedBytes(sample))
        .toString('latin1')
        .replace(/^(?=>*From )/gm, '>')
      const text = Buffer.from(base64, 'base64').toString('latin1')
      expect(text).toBe(quoted.endsWith('\n') ? quoted : `${quoted}\n`)
      expect(from).toMatch(/ Fri Nov 21 10:00:0\d 2025$/)
    }
    expect(found.map(([from]) => from.split(' ')[0])).toEqual(
      samples.map((sample) =>
        'from' in sample ? (sample.from === '' ? 'MAILER-DAEMON' : '"\\__a"@example.com') : 'a@example.com',
      ),
    )
  })

  test('mbox quoting does not depend on where chunks end', async () => {
    const { mboxMessage } = await import('../src/cli/export/mbox.ts')
    const bytes = Buffer.from('From a\r\n>From b\r\r\nFrom c\r>>>From d\n>>From e\r\nFro\r\nFrom\r\n>')
    const [record] = await fill(join(temporaryDirectory(), 'mail'), [{ bytes }])
    const expected = '>From a\n>>From b\r\n>From c\r>>>From d\n>>>From e\nFro\nFrom\n>\n\n'
    for (let size = 1; size <= bytes.length; size++) {
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
      }
      const chunks: Uint8Array[] = []
      if (record === undefined) throw new Error('no record')
      const mail = { record, body: body(), bytes: async () => bytes, verify: async () => {} }
      for await (const chunk of mboxMessage(mail)) chunks.push(chunk)
      expect(
        Buffer.concat(chunks)
          .toString('latin1')
          .replace(/^From a@.*\n/, ''),
      ).toBe(expected)
    }
  })

  testWith([PYTHON], 'writes a Maildir that Python reads, with no duplicates after a second export', async () => {
    const output = join(temporaryDirectory(), 'Maildir')
    for (let i = 0; i < 2; i++) {
      expect((await postern(['export', '--format', 'maildir', '--output', output], { cwd })).code).toBe(0)
    }
    const script = `
import mailbox, json, sys, base64
box = mailbox.Maildir(sys.argv[1], create=False)
print(json.dumps([base64.b64encode(box.get_bytes(k)).decode() for k in sorted(box.keys())]))`
    const found: string[] = JSON.parse((await python('python3', ['-c', script, output])).stdout)
    expect(found.map((text) => Buffer.from(text, 'base64').toString('latin1'))).toEqual(
      samples.map((sample) => lineFeeds(storedBytes(sample)).toString('latin1')),
    )
    expect(readdirSync(join(output, 'tmp'))).toEqual([])
    expect(readdirSync(join(output, 'new')).every((name) => /^\d+\.\w{26}\.[^/:]+$/.test(name))).toBe(true)
  })

  test('writes JSON lines with the exact bytes', async () => {
    const { stdout } = await postern(['export', '--format', 'jsonl'], { cwd })
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ record }) => record.id)).toEqual(names.map(idOf))
    for (const [i, { encoding, message }] of lines.entries()) {
      const bytes = Buffer.from(message, encoding === 'base64' ? 'base64' : 'utf8')
      expect(bytes.equals(storedBytes(samples[i] ?? { bytes: '' }))).toBe(true)
    }
    const base64 = lines.filter(({ encoding }) => encoding === 'base64').map(({ record }) => record.id)
    expect(base64).toEqual([idOf('binary'), idOf('eightBit')])
  })

  test('exports only the named messages in that order, without those that do not exist', async () => {
    const ids = [idOf('utf8'), sampleId(500), idOf('plain')]
    const { stdout, stderr, code } = await postern(['export', '--format', 'jsonl', ...ids], { cwd })
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).record.id)
    expect(found).toEqual([idOf('utf8'), idOf('plain')])
    expect(stderr).toBe(`postern: not exported: "${sampleId(500)}": there is no such message\n`)
    expect(code).toBe(1)
  })

  test('omits a message completely if its file is damaged', async () => {
    const own = temporaryDirectory()
    const records = await fill(join(own, 'mail'), [SAMPLES.plain, SAMPLES.utf8])
    const files = readdirSync(join(own, 'mail'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    const torn = files.find((entry) => readFileSync(join(entry.parentPath, entry.name)).includes('Hello.\r\n'))
    if (torn === undefined) throw new Error('no file holds the message')
    writeFileSync(join(torn.parentPath, torn.name), storedBytes(SAMPLES.plain).subarray(1))
    const { stdout, stderr, code } = await postern(['export', '--format', 'mbox'], { cwd: own })
    expect(stdout).not.toContain('Plain')
    expect(stdout).toContain('Subject: Grüße 🐦')
    expect(stderr).toMatch(new RegExp(`^postern: not exported: .*\n$`))
    expect(records).toHaveLength(2)
    expect(code).toBe(1)
  })

  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'a Maildir to standard output',
      ['--format', 'maildir'],
      /^postern: --output: name a directory for the Maildir\n$/,
    ],
    [
      'over an existing file',
      ['--format', 'mbox', '--output', 'mail'],
      /^postern: --output mail: it exists already; remove it, or give another path\n$/,
    ],
    [
      'into a missing directory',
      ['--format', 'jsonl', '--output', 'no/where'],
      /^postern: --output no\/where: ENOENT: .*\n$/,
    ],
    [
      'a Maildir into a file',
      ['--format', 'maildir', '--output', 'file/box'],
      /^postern: --output file\/box: ENOTDIR: .*\n$/,
    ],
  ]
  test.each(sample(refused, 1))('fails with one line and exit code 2: %s', async (_, args, line) => {
    const own = temporaryDirectory()
    mkdirSync(join(own, 'mail'))
    writeFileSync(join(own, 'file'), '')
    const { stderr, code } = await postern(['export', ...args], { cwd: own })
    expect(stderr).toMatch(line)
    expect(code).toBe(2)
  })
})

describe.concurrent('delete', () => {
  test('removes existing messages and names the missing ones', async () => {
    const own = temporaryDirectory()
    await fill(join(own, 'mail'), samples.slice(0, 3))
    const ids = [sampleId(0), sampleId(500), sampleId(1)]
    const { stdout, stderr, code } = await postern(['delete', ...ids], { cwd: own })
    expect(stdout).toBe(`deleted ${sampleId(0)}\ndeleted ${sampleId(1)}\n`)
    expect(stderr).toBe(`postern: "${sampleId(500)}": there is no such message\n`)
    expect(code).toBe(1)
    const left = await listed(join(own, 'mail'))
    expect(left.records.map(({ id }) => id)).toEqual([sampleId(2)])
  })

  test('prints JSON with --json', async () => {
    const own = temporaryDirectory()
    await fill(join(own, 'mail'), samples.slice(0, 1))
    const { stdout } = await postern(['delete', '--json', sampleId(0), sampleId(1)], { cwd: own })
    expect(stdout).toBe(`{"id":"${sampleId(0)}","deleted":true}\n{"id":"${sampleId(1)}","deleted":false}\n`)
  })
})

describe.concurrent('delete --all', () => {
  test('removes every message, those that have bounced too, without a question after --yes', async () => {
    const own = temporaryDirectory()
    const store = mailStore(await fs(join(own, 'mail')))
    const [first] = await fill(join(own, 'mail'), samples.slice(0, 3))
    await store.bounce(first?.id ?? '', { reason: 'mailbox gone' })
    const { stdout, stderr, code } = await postern(['delete', '--all', '--yes'], { cwd: own })
    expect([stdout, stderr, code]).toEqual(['deleted 3 messages\n', '', 0])
    for (const list of [['list'], ['list', '--bounced']]) {
      expect(JSON.parse((await postern([...list, '--json'], { cwd: own })).stdout).records).toEqual([])
    }
  })

  const refused: readonly (readonly [readonly string[], string])[] = [
    [['delete'], 'delete: give the ids of messages, or --all'],
    [['delete', '--all'], 'delete --all: there is no terminal to ask; give --yes'],
    [['delete', '--all', '--yes', sampleId(0)], 'delete: give either ids or --all'],
    [['delete', '--yes', sampleId(0)], '--yes: is only for --all'],
  ]
  test.each(sample(refused, 1, 1))('deletes nothing for %j', async (args, line) => {
    const own = temporaryDirectory()
    await fill(join(own, 'mail'), samples.slice(0, 1))
    const { stdout, stderr, code } = await postern(args, { cwd: own })
    expect([stdout, stderr, code]).toEqual(['', `postern: ${line}\n`, 2])
    expect((await listed(join(own, 'mail'))).records).toHaveLength(1)
  })

  const answers = [
    ['yes', 0],
    ['y', 1],
    ['\x03', 1],
  ] as const
  for (const [answer, left] of sample(answers, 2)) {
    testWith(
      [TERMINAL],
      `asks on a terminal, and deletes only after "yes", not after ${JSON.stringify(answer)}`,
      async () => {
        const own = temporaryDirectory()
        await fill(join(own, 'mail'), samples.slice(0, 1))
        const seen = await onTerminal(['delete', '--all'], [['Type yes: ', `${answer}\r`]], own)
        expect(seen).toMatch(/^Delete all messages in fs:\.\/mail\? Type yes: /)
        expect((await listed(join(own, 'mail'))).records).toHaveLength(left)
      },
    )
  }
})

describe.concurrent('hash', () => {
  testWith([PYTHON], 'reads the password from standard input and prints a scrypt hash in PHC form', async () => {
    const { stdout, code } = await postern(['hash'], { input: 'pässword\n' })
    const [, salt = '', hash = ''] = /^\$scrypt\$ln=15,r=8,p=3\$([\w+/]+)\$([\w+/]+)\n$/.exec(stdout) ?? []
    const script = `
import hashlib, base64, sys
pad = lambda s: base64.b64decode(s + '=' * (-len(s) % 4))
print(hashlib.scrypt('pässword'.encode(), salt=pad(sys.argv[1]), n=2**15, r=8, p=3, maxmem=2**26, dklen=32) == pad(sys.argv[2]))`
    expect((await run('python3', ['-c', script, salt, hash])).stdout).toBe('True\n')
    expect(code).toBe(0)
  })

  test.each([
    ['', 'postern: hash: the password is empty; give one\n'],
    ['one\ntwo\n', 'postern: hash: standard input has several lines; give one password\n'],
  ])('refuses %j', async (input, line) => {
    const { stderr, code } = await postern(['hash'], { input })
    expect([stderr, code]).toEqual([line, 2])
  })

  testWith([TERMINAL], 'asks twice on a terminal without echo', async () => {
    const seen = await onTerminal(
      ['hash'],
      [
        ['Password: ', 'secrex\x7ft\r'],
        ['Again: ', 'secret\r'],
      ],
    )
    const hash = /\$scrypt\$\S+/.exec(seen)?.[0] ?? ''
    expect(seen).not.toMatch(/secre/)
    const { checkPassword, parsePasswordHash } = await import('@postern/intake/accounts')
    const parsed = parsePasswordHash(hash)
    expect(parsed !== undefined && checkPassword({ password: 'secret', expected: parsed })).toBe(true)
  })

  testWith([TERMINAL], 'takes both answers from one paste', async () => {
    expect(await onTerminal(['hash'], [['Password: ', 'secret\rsecret\r']])).toMatch(/\$scrypt\$\S+/)
  })

  testWith([TERMINAL], 'forgets what was typed before Ctrl-U', async () => {
    expect(await onTerminal(['hash'], [['Password: ', 'wrong\x15secret\rsecret\r']])).toMatch(/\$scrypt\$\S+/)
  })

  testWith([TERMINAL], 'refuses a password with an arrow key in it', async () => {
    expect(await onTerminal(['hash'], [['Password: ', 'secret\x1b[D\r']])).toBe(
      'Password: \r\npostern: hash: the password has a control character; start again\r\n',
    )
  })

  testWith([TERMINAL], 'prints no hash if the passwords differ', async () => {
    const seen = await onTerminal(
      ['hash'],
      [
        ['Password: ', 'secret\r'],
        ['Again: ', 'secrets\r'],
      ],
    )
    expect(seen).toBe('Password: \r\nAgain: \r\npostern: hash: the passwords differ; start again\r\n')
  })
})

/** Runs `postern …args` on a terminal, and types each answer after its question. @returns all that one would see */
async function onTerminal(
  args: readonly string[],
  answers: readonly (readonly [question: string, typed: string])[],
  cwd: string = temporaryDirectory(),
): Promise<string> {
  // script(1) makes a terminal.
  const child = spawn('script', ['-qec', [process.execPath, MAIN, ...args].join(' '), '/dev/null'], {
    cwd,
    env: cleanEnvironment({ TERM: 'xterm' }),
  })
  const waiting = [...answers]
  let seen = ''
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
    const [next] = waiting
    if (next === undefined || !seen.endsWith(next[0])) return
    waiting.shift()
    child.stdin.write(next[1])
  })
  await once(child, 'close')
  return seen
}
