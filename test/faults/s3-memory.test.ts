/** The server holds only two parts of each message, while it sends many large messages to S3 at the same time. */
import { randomBytes } from 'node:crypto'
import MailComposer from 'nodemailer/lib/mail-composer'
import { afterAll, beforeAll, expect } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import type { S3Server } from '../../packages/storage/test/servers/server.ts'
import { startSwift } from '../../packages/storage/test/servers/swift.ts'
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { sendEnvelope, textOf } from '../corpus/send.ts'
import { isThorough } from '../kit/sample.ts'
import { serveMail } from '../kit/postern.ts'
import { checkedKept, idIn, sha256 } from '../peers/store.ts'
import { SWIFT } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { measure, settledBytes, tell } from './memory.ts'
import { S3Shelf } from './s3-shelf.ts'

const SESSIONS = isThorough ? 20 : 5
/** Several times the memory that the server may use for it. */
const MESSAGE_MIB = isThorough ? 50 : 25
/** Several parts of 5 MiB. */
const ATTACHMENT_MIB = isThorough ? 20 : 6
const [FROM, TO] = ['ann@example.org', 'bob@example.com']
const MESSAGE = messageOf(MESSAGE_MIB * MiB).bytes
const TEXT = textOf(MESSAGE)
/** Two parts of 5 MiB for each message, and what the sockets and the heap hold besides. */
const BOUND_BYTES = SESSIONS * 2 * 5 * MiB + 32 * MiB

/** What the sockets and the heap hold besides. Deno and Bun collect garbage later. */
const BESIDES_BYTES = { node: 32 * MiB, deno: 64 * MiB, bun: 96 * MiB }

/** The shelf reads only ASCII. */
function randomText(byteLength: number): Buffer {
  return Buffer.from(randomBytes(byteLength / 2).toString('hex'))
}

let s3: S3Server
beforeAll(async () => {
  if (SWIFT.missing === undefined) s3 = await startSwift()
})
afterAll(() => s3?.[Symbol.asyncDispose]())

const RUNTIMES = (process.env['MEMORY_ON']?.split(',') ?? ['node']) as (keyof typeof BESIDES_BYTES)[]
for (const runtime of RUNTIMES) {
  testWith(
    [SWIFT],
    `${SESSIONS} sessions that each send ${MESSAGE_MIB} MiB to S3 on ${runtime}: 250, all whole, two parts of each in memory`,
    async () => {
      const bucket = await s3.bucket()
      const store = `s3://${bucket}/mail?endpoint=${s3.endpoint}&region=${s3.region}`
      const { accessKeyId, secretAccessKey } = s3.credentials
      await using server = await serveMail({
        store: '',
        command: COMMANDS[runtime],
        flags: ['--store', store, '--max-message-bytes', '60MiB'],
        env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
      })
      const base = await settledBytes(server, { small: 20, large: 3 })
      const ids: string[] = []
      const startedAt = Date.now()
      const measured = await measure(server, base, async () => {
        const send = async (): Promise<void> => {
          using client = await SocketClient.ready(server.port)
          await sendEnvelope(client, {})
          await client.command('DATA', 354)
          await client.send(TEXT)
          ids.push(idIn((await client.reply(500_000)).text))
          await client.quit()
        }
        await Promise.all(Array.from({ length: SESSIONS }, send))
      })
      tell(runtime, `${SESSIONS} × ${MESSAGE_MIB} MiB to S3 in ${Date.now() - startedAt} ms`, measured)
      expect(measured.growthBytes).toBeLessThan(BOUND_BYTES)

      expect(ids).toHaveLength(SESSIONS)
      const shelf = new S3Shelf(s3, bucket, 'mail')
      const keys = await shelf.keys()
      for (const id of ids) {
        const key = keys.find((key) => key.endsWith(`${id}.json`)) ?? ''
        const stored = await shelf.read(key.replace(/json$/, 'eml'))
        expect(sha256(checkedKept(id, (await shelf.read(key)).toString(), stored).bytes)).toBe(sha256(MESSAGE))
      }
      expect(await shelf.uploads()).toEqual([])
    },
    600_000,
  )

  testWith(
    [SWIFT],
    `a message with three attachments of ${ATTACHMENT_MIB} MiB goes to S3 on ${runtime} with its attachments apart: all whole, and two parts of two blobs in memory`,
    async () => {
      const bucket = await s3.bucket()
      const store = `s3://${bucket}/mail?endpoint=${s3.endpoint}&region=${s3.region}`
      const { accessKeyId, secretAccessKey } = s3.credentials
      await using server = await serveMail({
        store: '',
        command: COMMANDS[runtime],
        flags: ['--store', store, '--max-message-bytes', '100MiB', '--attachments', 'apart'],
        env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
      })
      const base = await settledBytes(server, { small: 20, large: 3 })
      const files = ['one', 'two', 'three'].map((filename) => ({
        filename,
        content: randomText(ATTACHMENT_MIB * MiB),
      }))
      const composer = new MailComposer({ from: FROM, to: TO, text: 'Three.', attachments: files })
      const message = await composer.compile().build()
      let id = ''
      const startedAt = Date.now()
      const measured = await measure(server, base, async () => {
        using client = await SocketClient.ready(server.port)
        await sendEnvelope(client, {})
        await client.command('DATA', 354)
        await client.send(textOf(message))
        id = idIn((await client.reply(500_000)).text)
        await client.quit()
      })
      tell(runtime, `3 × ${ATTACHMENT_MIB} MiB apart to S3 in ${Date.now() - startedAt} ms`, measured)
      expect(measured.growthBytes).toBeLessThan(2 * 2 * 5 * MiB + BESIDES_BYTES[runtime])

      const shelf = new S3Shelf(s3, bucket, 'mail')
      const keys = await shelf.keys()
      const [eml = '', json = ''] = ['.eml', '.json'].map(
        (end) => keys.find((key) => key.endsWith(`${id}${end}`)) ?? '',
      )
      const { bytes, record } = checkedKept(id, (await shelf.read(json)).toString(), await shelf.read(eml))
      expect(sha256(bytes)).toBe(sha256(message))
      const wanted = files.map(({ filename, content }) => [filename, content.length, sha256(content)])
      expect(record.attachments?.map(({ fileName, size, sha256: digest }) => [fileName, size, digest])).toEqual(wanted)
      const apart = keys.filter((key) => key.includes('attachments/'))
      expect(apart).toHaveLength(3)
      for (const [index, key] of apart.toSorted().entries())
        expect(sha256(await shelf.read(key))).toBe(wanted[index]?.[2])
      console.log(wanted.map(([name, size, digest]) => `${name} ${size} ${digest}`).join('\n'))
      expect(await shelf.uploads()).toEqual([])
    },
    600_000,
  )
}
