/** `--attachments apart`: the program keeps attachments by themselves too, and `postern attachments` finds and links them. */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MailDocument } from '@postern/storage/document'
import { startR2 } from '../../../packages/storage/test/servers/r2-s3.ts'
import type { S3Server } from '../../../packages/storage/test/servers/server.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { idIn } from '../../../test/peers/store.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const IMAGE = randomBytes(300_000)
const LETTER = Buffer.from('Ein Brief: naïve\n'.repeat(2_000))
const NOTE = Buffer.from('short')
const APART = ['--attachments', 'apart']

let s3: S3Server
beforeAll(async () => {
  s3 = await startR2()
})
afterAll(() => s3?.[Symbol.asyncDispose]())

/** Sends a message that nodemailer builds. Returns its id. */
async function send(port: number): Promise<string> {
  const transport = createTransport({ host: '127.0.0.1', port, tls: { rejectUnauthorized: false } })
  const { response } = await transport.sendMail({
    from: 'ann@example.org',
    to: 'bob@example.com',
    subject: 'Three files',
    text: 'See below.',
    attachments: [
      { filename: 'Bild Größe.png', content: IMAGE, contentType: 'image/png', cid: 'one@example.org' },
      { filename: 'letter.txt', content: LETTER, contentType: 'text/plain' },
      { filename: 'note.txt', content: NOTE, contentType: 'text/plain' },
    ],
  })
  transport.close()
  return idIn(response)
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe.each(RUNTIME_NAMES)('on %s', (runtime) => {
  test('large attachments are files of their own, and the command lists all and writes each', async () => {
    const store = join(temporaryDirectory(), 'mail')
    const url = `fs:${store}`
    const server = await serve(['--store', url, ...APART], { command: RUNTIMES[runtime] })
    const id = await send(server.ports[0] as number)
    const command = { command: RUNTIMES[runtime] }
    const shown = await postern(['show', '--json', '--store', url, id], command)
    const { record, parts } = JSON.parse(shown.stdout) as MailDocument
    const { attachments = [] } = record
    expect(attachments).toMatchObject([
      { section: '2', fileName: 'Bild Größe.png', type: 'image/png', contentId: 'one@example.org', size: IMAGE.length },
      { section: '3', fileName: 'letter.txt', type: 'text/plain', size: LETTER.length },
    ])
    expect(attachments.map(({ key }) => sha256Of(readFileSync(join(store, key))))).toEqual(
      [IMAGE, LETTER].map(sha256Of),
    )
    expect(attachments.map(({ sha256 }) => sha256)).toEqual([IMAGE, LETTER].map(sha256Of))
    expect(parts.map(({ blob }) => blob?.key)).toEqual([
      undefined,
      undefined,
      ...attachments.map(({ key }) => key),
      undefined,
    ])
    const listed = await postern(['attachments', '--store', url, id], command)
    const lines = listed.stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^PART +NAME +TYPE +SIZE +WHERE$/)
    expect(lines[1]).toMatch(/^2 +Bild Größe\.png +image\/png +293 KiB +attachments\/\d{4}\/.*\.2$/)
    expect(lines[3]).toMatch(/^4 +note\.txt +text\/plain +5 B +\(inside\)$/)
    for (const [section, bytes] of Object.entries({ 2: IMAGE, 3: LETTER, 4: NOTE })) {
      const written = await postern(['attachments', '--store', url, id, section], command)
      expect([written.stderr, written.code, sha256Of(written.bytes)]).toEqual(['', 0, sha256Of(bytes)])
    }
    await postern(['delete', '--store', url, id], command)
    expect(() => readFileSync(join(store, attachments[0]?.key ?? ''))).toThrow(/ENOENT/)
    server.signal('SIGTERM')
    expect(await server.ended).toBe(0)
  })
})

test('a link to an attachment in S3 works without credentials, and names it, until it expires', async () => {
  const { accessKeyId, secretAccessKey } = s3.credentials
  const store = `s3://${await s3.bucket()}/mail?endpoint=${s3.endpoint}&region=${s3.region}&addressing=path`
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
  const server = await serve(['--store', store, ...APART], { env })
  const id = await send(server.ports[0] as number)
  const { stdout, stderr } = await postern(['attachments', '--store', store, '--link', '1h', id, '2'], { env })
  expect(stderr).toBe('')
  expect(stdout).not.toContain(secretAccessKey)
  const answer = await fetch(stdout.trim())
  expect([answer.status, sha256Of(Buffer.from(await answer.arrayBuffer()))]).toEqual([200, sha256Of(IMAGE)])
  expect(answer.headers.get('content-type')).toBe('image/png')
  expect(answer.headers.get('content-disposition')).toBe(
    'attachment; filename="Bild Gr__e.png"; filename*=UTF-8\'\'Bild%20Gr%C3%B6%C3%9Fe.png',
  )
  const changed = new URL(stdout.trim())
  changed.searchParams.set('X-Amz-Expires', '7200')
  expect((await fetch(changed)).status).toBe(403)
  const all = await postern(['attachments', '--store', store, '--link', '1s', '--json', id], { env })
  const { attachments } = JSON.parse(all.stdout) as { attachments: { section: string; link?: string }[] }
  expect(attachments.map(({ section, link }) => [section, typeof link])).toEqual([
    ['2', 'string'],
    ['3', 'string'],
    ['4', 'undefined'],
  ])
  await expect.poll(async () => (await fetch(attachments[0]?.link ?? '')).status, { interval: 500 }).toBe(403)
  server.signal('SIGTERM')
  await server.ended
})

test.each([
  [
    ['serve', '--store', 'maildir:./mail', ...APART],
    /^postern: --attachments apart: this store can't do that; name an fs: or s3: store$/,
    2,
  ],
  [['serve', '--attachments', 'outside'], /^postern: --attachments: "outside" is not one of inside, apart$/, 2],
  [
    ['serve', '--attachments-above-bytes', '2MiB'],
    /^postern: --attachments-above-bytes: "2MiB" is not a size from 0 to 1MiB/,
    2,
  ],
  [
    ['attachments', '01JD2V5W3Q8XJ4T6Y9Z0A1B2C3', '--link', '8d'],
    /^postern: --link: "8d" is not a time such as 1h, from 1s to 7d$/,
    2,
  ],
  [
    ['attachments', '01JD2V5W3Q8XJ4T6Y9Z0A1B2C3', '2', '--json'],
    /^postern: --json: leave out the section, or --json$/,
    2,
  ],
])('%j is one line', async (args, line, exitCode) => {
  const { stdout, stderr, code } = await postern(args)
  expect(stderr.trimEnd()).toMatch(line)
  expect([stdout, code]).toEqual(['', exitCode])
})

test('links need a store that makes them, and a section needs an attachment', async () => {
  const url = `fs:${join(temporaryDirectory(), 'mail')}`
  const server = await serve(['--store', url, ...APART])
  const id = await send(server.ports[0] as number)
  for (const [args, line, exitCode] of [
    [['--link', '1h', id], '--link: this store makes no links; an s3: store does', 2],
    [[id, '9'], `"9": message ${id} has no attachment of this section`, 1],
  ] as const) {
    const { stdout, stderr, code } = await postern(['attachments', '--store', url, ...args])
    expect([stdout, stderr, code]).toEqual(['', `postern: ${line}\n`, exitCode])
  }
  server.signal('SIGTERM')
  await server.ended
})
