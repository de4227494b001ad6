/** `postern serve` with a queue that was filled before it started. */
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { Spool } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { fs } from '@postern/storage/fs'
import type { Scratch } from '../../kit/scratch.ts'
import { runDaemon } from '../daemon.ts'
import { messageText } from '../load/message.ts'
import { PASSWORD_HASH } from '../../contracts/wire/user.ts'
import { CORES, type Program } from '../programs.ts'
import type { Filled } from './filled.ts'

const MESSAGE_BYTES = 1024
const CALLERS = 100

export async function startPostern(scratch: Scratch, sinkPort: number, messages: number): Promise<Filled> {
  const directory = scratch.join('queue')
  await fill(directory, messages)
  let program: Program | undefined
  return {
    async release() {
      const args = [
        'serve',
        '--listen=smtp://127.0.0.1:0',
        '--hostname=relay.postern.example',
        `--store=fs:${scratch.join('store')}`,
        `--queue=${directory}`,
        `--relay=smtp://127.0.0.1:${sinkPort}`,
        `--users=bench:${PASSWORD_HASH}`,
        '--auth-without-tls',
        '--domains=near.example',
      ]
      program = (await runDaemon('node', { args, core: CORES.server })).program
    },
    cpuSeconds: () => program?.usage().cpuSeconds ?? 0,
    residentBytes: () => program?.usage().residentBytes ?? 0,
    async isDone() {
      using db = new DatabaseSync(join(directory, 'queue.sqlite'), { readOnly: true })
      return db.prepare('SELECT 1 FROM entry LIMIT 1').get() === undefined
    },
    async [Symbol.asyncDispose]() {
      await program?.end()
    },
  }
}

/** Makes the queue and its spool as a relay does. */
async function fill(directory: string, messages: number): Promise<void> {
  await mkdir(directory, { mode: 0o700 })
  await using queue = await openSqliteQueue(join(directory, 'queue.sqlite'))
  const spool = new Spool(fs(join(directory, 'spool')))
  const bytes = Buffer.from(messageText(MESSAGE_BYTES, 0))
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < messages) {
      const id = `01JDXH${String(next++).padStart(20, '0')}`
      const size = await spool.save(id, [bytes])
      const envelope = { reversePath: 'sender@example.com', body: '8BITMIME', smtpUtf8: false, size } as const
      const recipients = [{ address: 'someone@example.org', destination: 'example.org' }]
      await queue.add([{ id, messageId: id, queuedAt: Date.now(), envelope, recipients }])
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}
