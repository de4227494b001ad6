/**
 * The server is killed under load while it delivers into Maildirs, and a reader moves messages. A message with 250 is in the
 * mailboxes of all its recipients, and no mailbox has a torn message.
 */
import { readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { MailRecord } from '@postern/storage'
import { expect, test } from 'vitest'
import { COMMANDS } from '../kit/commands.ts'
import { Random } from '../kit/random.ts'
import { isThorough, sample } from '../kit/sample.ts'
import { posternOver, serveMail } from '../kit/postern.ts'
import { checkedKept, filesIn, folderOf, type Kept, sha256 } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { Load, numberOf } from './load.ts'

const ROUNDS = { node: isThorough ? 3 : 2, deno: 1, bun: 1 } as const
const RUNTIMES = ['node', ...sample(['deno', 'bun'] as const, 1)] as const
const SESSIONS = 16
/** The limits of one round. */
const LEAST_ANSWERS = 5
const MOST_ANSWERS = 60
/** The second recipient of every message; the first is its number at another domain. */
const ARCHIVE = 'archive@other.example'

/** Moves messages of the archive from `new` to `cur`, as a reader does. Every third message stays. */
async function readArchive(store: string): Promise<void> {
  const mailbox = join(store, 'other.example/archive')
  const names = await readdir(join(mailbox, 'new')).catch(() => [])
  for (const [index, name] of names.entries()) {
    if (index % 3 > 0)
      await rename(join(mailbox, 'new', name), join(mailbox, 'cur', `${name}:2,${'S'.repeat(index % 2)}`))
  }
}

/** Reads a message from a mailbox, restores its line ends, and checks it against its envelope. */
async function readDelivered(store: string, file: string): Promise<Kept> {
  const id = /\.([0-9A-Z]{26})\./.exec(file)?.[1] ?? ''
  const envelope = await readFile(join(store, '.records', folderOf(id), `${id}.json`), 'utf8')
  const lines = (await readFile(join(store, file), 'latin1')).replaceAll('\n', '\r\n')
  const [returnPath = ''] = lines.split('\r\n', 1)
  expect(returnPath).toBe('Return-Path: <ann@sender.example>')
  const top = Buffer.byteLength(`${returnPath}\r\n`)
  const stored = Buffer.from(lines, 'latin1')
  const record = JSON.parse(envelope) as MailRecord
  expect({ size: stored.length, sha256: sha256(stored) }).toEqual({ size: record.size, sha256: record.sha256 })
  const rest = stored.subarray(top)
  return checkedKept(id, JSON.stringify({ ...record, size: rest.length, sha256: sha256(rest) }), rest)
}

test.each(RUNTIMES)(
  'if the server is killed during deliveries on %s, each message with 250 is in every mailbox, and none is torn',
  async (runtime) => {
    await using scratch = await Scratch.make()
    const store = scratch.join('vhosts')
    const seed = Date.now() % 2 ** 31
    const random = new Random(seed)
    const load = new Load(seed, [ARCHIVE])
    /** Mailboxes by the id of their messages. */
    const found = new Map<string, Set<string>>()
    const checked = new Set<string>()

    for (let round = 0; round <= ROUNDS[runtime]; round++) {
      await using server = await serveMail({ command: COMMANDS[runtime], store, layout: 'maildir' })
      for (const file of (await filesIn(store)).filter((path) => /\/(?:new|cur)\//.test(path))) {
        const id = /\.([0-9A-Z]{26})\./.exec(file)?.[1] ?? ''
        const mailbox = file.split('/').slice(0, 2).join('/')
        const mailboxes = found.get(id) ?? new Set()
        found.set(id, mailboxes.add(mailbox))
        if (checked.has(`${id} ${mailbox}`)) continue
        checked.add(`${id} ${mailbox}`)
        const kept = await readDelivered(store, file)
        const number = numberOf(kept)
        expect([`postern.example/${number}`, 'other.example/archive']).toContain(mailbox)
        expect(sha256(kept.bytes), `seed ${seed}, message ${number}`).toBe(load.sent[number]?.sha256)
      }
      for (const { number, id = '' } of load.answered) {
        const mailboxes = [...(found.get(id) ?? [])].toSorted()
        expect(mailboxes, `seed ${seed}, message ${number}`).toEqual([
          'other.example/archive',
          `postern.example/${number}`,
        ])
      }
      if (round === ROUNDS[runtime]) break

      load.start(server.port, SESSIONS)
      // Waits for a number of messages and not for a time, because a busy machine is slower.
      const enough = load.answered.length + random.between(LEAST_ANSWERS, MOST_ANSWERS)
      while (load.answered.length < enough) {
        await readArchive(store)
        await new Promise((resolve) => setTimeout(resolve, random.below(20)))
      }
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      await load.over()
    }

    const { stdout } = await posternOver(store, ['list', '--json', '--limit', '1000000'], 'maildir')
    const listed = JSON.parse(stdout.toString()) as { records: MailRecord[]; corrupt: string[] }
    expect(listed.corrupt).toEqual([])
    expect(listed.records.map(({ id }) => id).toSorted()).toEqual([...found.keys()].toSorted())
    expect(load.unexpected).toEqual([])
    const { sent, answered } = load
    expect(answered.length).toBeGreaterThanOrEqual(ROUNDS[runtime] * LEAST_ANSWERS)
    const files = await filesIn(store)
    const envelopes = files.filter((file) => file.startsWith('.records/') && file.endsWith('.json')).length
    const temporary = files.filter((file) => /\/\.?tmp\//.test(file)).length
    console.info(
      `kill -9 while delivering on ${runtime}: seed ${seed}, ${sent.length} sent, ${answered.length} answered 250, ${found.size} found, ` +
        `none missing, none torn; left for the sweep: ${envelopes - found.size} envelopes, ${temporary} temporary`,
    )
  },
  120_000,
)
