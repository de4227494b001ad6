/** `postern serve` with a queue that was filled before it started. */
import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Spool } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { fs } from '@postern/storage/fs'
import { PASSWORD_HASH, USER } from '../../contracts/wire/user.ts'
import type { Scratch } from '../../kit/scratch.ts'
import { runDaemon } from '../daemon.ts'
import { messageText } from '../load/message.ts'
import { CORES, type Program } from '../programs.ts'
import type { Filled } from './filled.ts'

const MESSAGE_BYTES = 1024
const CALLERS = 100

/** Where a relay keeps its queue, in its directory. */
export const places = (directory: string): { readonly queue: string; readonly spool: string } => ({
  queue: join(directory, 'queue.sqlite'),
  spool: join(directory, 'spool'),
})

/** Starts a server that sends what is in this directory to a sink. */
export async function serveRelay(
  scratch: Scratch,
  directory: string,
  sinkPort: number,
): Promise<{ readonly program: Program; readonly port: number }> {
  const args = [
    'serve',
    '--listen=smtp://127.0.0.1:0',
    '--hostname=relay.postern.example',
    `--store=fs:${scratch.join('store')}`,
    `--queue=${directory}`,
    `--relay=smtp://127.0.0.1:${sinkPort}`,
    `--users=${USER}:${PASSWORD_HASH}`,
    '--auth-without-tls',
    '--domains=near.example',
  ]
  const { program, ports } = await runDaemon('node', { args, core: CORES.server })
  return { program, port: ports[0] as number }
}

export async function startPostern(scratch: Scratch, sinkPort: number, messages: number): Promise<Filled> {
  const directory = scratch.join('queue')
  const { queue, spool } = places(directory)
  await mkdir(directory, { mode: 0o700 })
  await fill(directory, messages)
  let program: Program | undefined
  return {
    async release() {
      program = (await serveRelay(scratch, directory, sinkPort)).program
    },
    cpuSeconds: () => program?.usage().cpuSeconds ?? 0,
    residentBytes: () => program?.usage().residentBytes ?? 0,
    async isDone() {
      using db = new DatabaseSync(queue, { readOnly: true })
      const isEmpty = db.prepare('SELECT 1 FROM entry LIMIT 1').get() === undefined
      return isEmpty && readdirSync(join(spool, 'spool')).length === 0
    },
    async [Symbol.asyncDispose]() {
      await program?.end()
    },
  }
}

/** Makes messages as a relay does. */
export async function fill(directory: string, messages: number): Promise<void> {
  const to = places(directory)
  await using queue = await openSqliteQueue(to.queue)
  const spool = new Spool(fs(to.spool))
  const bytes = Buffer.from(messageText(MESSAGE_BYTES, 0))
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < messages) {
      const id = `01JDXH${String(next++).padStart(20, '0')}`
      const size = await spool.save(id, [bytes])
      const envelope = { reversePath: USER, body: '8BITMIME', smtpUtf8: false, size } as const
      const recipients = [{ address: 'someone@example.org', destination: 'example.org' }]
      await queue.add([{ id, messageId: id, queuedAt: Date.now(), envelope, recipients }])
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}
