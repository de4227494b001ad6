/** The server holds only two parts of each message, while it sends many large messages to S3 at the same time. */
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
const MESSAGE = messageOf(MESSAGE_MIB * MiB).bytes
const TEXT = textOf(MESSAGE)
/** Two parts of 5 MiB for each message, and what the sockets and the heap hold besides. */
const BOUND_BYTES = SESSIONS * 2 * 5 * MiB + 32 * MiB

let s3: S3Server
beforeAll(async () => {
  if (SWIFT.missing === undefined) s3 = await startSwift()
})
afterAll(() => s3?.[Symbol.asyncDispose]())

const RUNTIMES = (process.env['MEMORY_ON']?.split(',') ?? ['node']) as (keyof typeof COMMANDS)[]
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
}
