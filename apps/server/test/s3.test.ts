/** Mail in a bucket, from the command line: the S3 API of R2, as `wrangler dev` has it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { startR2 } from '../../../packages/storage/test/servers/r2-s3.ts'
import type { S3Server } from '../../../packages/storage/test/servers/server.ts'
import { idIn } from '../../../test/peers/store.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { Postern, postern, type Result, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

/** Two of them are more than a MiB. */
const MESSAGE_BYTES = 600_000
let s3: S3Server
beforeAll(async () => {
  s3 = await startR2()
})
afterAll(() => s3?.[Symbol.asyncDispose]())

/** Returns a store in a bucket that no other test uses, and its credentials. */
async function bucket(): Promise<{ store: string; env: Record<string, string> }> {
  const { accessKeyId, secretAccessKey } = s3.credentials
  return {
    store: `s3://${await s3.bucket()}/mail?endpoint=${s3.endpoint}&region=${s3.region}&addressing=path`,
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  }
}

test('sweep keeps the newest mail that fits, and the server goes on', { timeout: 60_000 }, async () => {
  const { store, env } = await bucket()
  const server = await serve(['--store', store], { env })
  const client = await SocketClient.connect(server.ports[0] as number)
  expect((await client.reply()).text).toMatch(/^220/)
  const ids: string[] = []
  const send = async (): Promise<void> => {
    const text = 'x'
      .repeat(998)
      .concat('\r\n')
      .repeat(MESSAGE_BYTES / 1000)
    for (const line of ['EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA', `\r\n${text}.`]) {
      client.send(`${line}\r\n`)
      const { text: reply } = await client.reply()
      expect(reply).toMatch(/^[23]/)
      if (line.endsWith('.')) ids.push(idIn(reply))
    }
  }
  for (let i = 0; i < 3; i++) await send()
  const swept = await postern(['sweep', '--store', store, '--keep-bytes', '1MiB', '--json'], { env })
  expect(swept.stderr).toBe('')
  const { expired } = JSON.parse(swept.stdout) as { expired: { messages: number; bytes: number } }
  expect(expired.messages).toBe(2)
  expect(expired.bytes).toBeGreaterThan(2 * MESSAGE_BYTES)
  await send()
  const { stdout } = await postern(['list', '--store', store, '--json'], { env })
  const { records } = JSON.parse(stdout) as { records: { id: string }[] }
  expect(records.map(({ id }) => id)).toEqual(ids.slice(2).toReversed())
  const { bytes } = await postern(['show', '--raw', '--store', store, ids[2] as string], { env })
  expect(bytes.length).toBeGreaterThan(MESSAGE_BYTES)
  server.signal('SIGTERM')
  expect(await server.ended).toBe(0)
})

function expectOneLine({ code, stdout, stderr }: Result, line: RegExp, exitCode: number): void {
  expect(stderr).toMatch(line)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stderr).not.toMatch(/hunter/)
  expect(stdout).toBe('')
  expect(code).toBe(exitCode)
}

describe('a mistake is one line on stderr, and no secret is in it', () => {
  const KEYS = { AWS_ACCESS_KEY_ID: 'me', AWS_SECRET_ACCESS_KEY: 'hunter2' }

  const mistakes: readonly (readonly [string, string, Readonly<Record<string, string>>, RegExp])[] = [
    [
      'no credentials',
      's3://mail',
      {},
      /^postern: --store: S3 needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_/,
    ],
    ['half of them', 's3://mail', { AWS_ACCESS_KEY_ID: 'me' }, /^postern: --store: S3 needs credentials: /],
    [
      'credentials in the URL',
      's3://me:hunter2@mail',
      KEYS,
      /^postern: --store: credentials are not part of an s3: URL/,
    ],
    [
      'credentials in the endpoint',
      's3://mail?endpoint=https://me:hunter2@host',
      KEYS,
      /endpoint: credentials are not part/,
    ],
    [
      'a parameter',
      's3://mail?secret=hunter2',
      KEYS,
      /^postern: --store: parameter: "secret" is not one of endpoint, region, /,
    ],
    [
      'an endpoint',
      's3://mail?endpoint=host:9000',
      KEYS,
      /^postern: --store: endpoint: "host:9000" is not the URL of an S3 /,
    ],
    ['a bucket', 's3://m', KEYS, /^postern: --store: bucket: "m" is not the name of a bucket$/m],
    ['a prefix', 's3://mail/a/../b', KEYS, /^postern: --store: prefix: "a\/..\/b" is not /],
    [
      'a way to address',
      's3://mail?addressing=dns',
      KEYS,
      /^postern: --store: addressing: "dns" is not path or virtual-host$/m,
    ],
    [
      'an encryption',
      's3://mail?encryption=rot13',
      KEYS,
      /^postern: --store: encryption: "rot13" is not AES256, aws:kms/,
    ],
  ]
  test.concurrent.each(sample(mistakes, 1))('%s', async (_, store, env, line) => {
    expectOneLine(await postern(['serve', '--store', store], { env }), line, 2)
  })

  test.concurrent('a refusal of S3 at the start', async () => {
    const { store, env } = await bucket()
    const wrong = { ...env, AWS_SECRET_ACCESS_KEY: 'hunter2' }
    expectOneLine(
      await postern(['serve', '--store', store], { env: wrong }),
      /: S3 answered 403 SignatureDoesNotMatch/,
      2,
    )
    const nowhere = store.replace(/s3:\/\/[^/]*/, 's3://no-such-bucket')
    expectOneLine(await postern(['list', '--store', nowhere], { env }), /: S3 answered 404 NoSuchBucket/, 1)
  })

  test.concurrent('wrong credentials in the config file', async () => {
    const cwd = temporaryDirectory()
    const { store } = await bucket()
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `export default { store: '${store}', s3Credentials: { accessKeyId: 'hunter' } }`,
    )
    const line =
      /^postern: s3Credentials in .*postern\.config\.ts: the value \(not shown\) is not \{ accessKeyId, secretAccessKey \}/
    expectOneLine(await postern(['list'], { cwd }), line, 2)
  })

  test.concurrent('Deno without the permission to connect', async () => {
    const { store, env } = await bucket()
    const [deno, ...args] = COMMANDS.deno
    const command = [
      deno,
      ...args.filter((arg) => arg !== '--allow-all'),
      '--allow-env',
      '--allow-read',
      '--no-prompt',
    ] as const
    expectOneLine(
      await postern(['list', '--store', store], { env, command }),
      /Requires net access to "127\.0\.0\.1/,
      2,
    )
  })
})

test('a function of the config file is asked for credentials before each request', async () => {
  const cwd = temporaryDirectory()
  const { store } = await bucket()
  const config = `
    let asked = 0
    export default {
      store: '${store}',
      async s3Credentials() {
        asked++
        process.stderr.write('asked ' + asked + '\\n')
        return ${JSON.stringify(s3.credentials)}
      },
    }`
  writeFileSync(join(cwd, 'postern.config.ts'), config)
  const { code, stderr, stdout } = await postern(['list', '--json'], { cwd })
  expect(stderr).toMatch(/^asked 1\nasked 2\n/)
  expect(JSON.parse(stdout)).toEqual({ records: [], corrupt: [] })
  expect(code).toBe(0)
})

test('watch prints each new message of a bucket once', { timeout: 60_000 }, async () => {
  const { store, env } = await bucket()
  const server = await serve(['--store', store], { env })
  const client = await SocketClient.greeted(server.port)
  const ids: string[] = []
  const send = async (): Promise<void> => {
    for (const line of ['EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA', '\r\nhello\r\n.']) {
      const { text } = await client.command(line)
      if (line.endsWith('.')) ids.push(idIn(text))
    }
  }
  await send()
  const watching = new Postern(['watch', '--store', store], { env })
  const shown = watching.says(/01[0-9A-Z]{24}/).then(() => true)
  do await send()
  while (!(await Promise.race([shown, new Promise<false>((resolve) => setTimeout(resolve, 300, false))])))
  await send()
  await watching.says(new RegExp(ids.at(-1) as string))
  expect(await watching.end('SIGTERM')).toBe(0)
  const seen = watching.stdout.match(/\b01[0-9A-Z]{24}\b/g) ?? []
  // Those that came before it watched are not shown.
  expect(seen).toEqual(ids.slice(-seen.length))
  expect(seen).not.toContain(ids[0])
  expect(watching.stderr).toBe('')
  server.signal('SIGTERM')
  expect(await server.ended).toBe(0)
})
