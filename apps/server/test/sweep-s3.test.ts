/** `postern sweep` over a bucket, beside a server that keeps mail in it: the S3 API of R2, as `wrangler dev` has it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startR2 } from '../../../packages/storage/test/servers/r2-s3.ts'
import type { S3Server } from '../../../packages/storage/test/servers/server.ts'
import { idIn } from '../../../test/peers/store.ts'
import { Client } from './client.ts'
import { postern, serve } from './program.ts'

/** Two of them are more than a MiB. */
const MESSAGE_BYTES = 600_000
let s3: S3Server
beforeAll(async () => {
  s3 = await startR2()
})
afterAll(() => s3?.[Symbol.asyncDispose]())

test('the newest that fit are kept, and the server goes on', { timeout: 60_000 }, async () => {
  const { accessKeyId, secretAccessKey } = s3.credentials
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
  const store = `s3://${await s3.bucket()}/mail?endpoint=${s3.endpoint}&region=${s3.region}&addressing=path`
  const server = await serve(['--store', store], { env })
  const client = await Client.connect(server.ports[0] as number)
  expect(await client.reply()).toMatch(/^220/)
  const ids: string[] = []
  const send = async (): Promise<void> => {
    const text = 'x'
      .repeat(998)
      .concat('\r\n')
      .repeat(MESSAGE_BYTES / 1000)
    for (const line of ['EHLO me', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA', `\r\n${text}.`]) {
      client.send(`${line}\r\n`)
      const reply = await client.reply()
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
