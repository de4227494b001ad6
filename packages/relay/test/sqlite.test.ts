/** The file of a queue: its versions, its owner, and what happens when others write to it. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeEach, describe, expect, test } from 'vitest'
import { isQueueError, type Queue, QueueError } from '@postern/relay'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { claimAll, entry, namesOf } from '../../../test/contracts/queue/check.ts'

const OWNER = resolve(import.meta.dirname, 'owner-program.ts')
const THREADS = resolve(import.meta.dirname, 'threads-program.ts')

let path = ''
beforeEach(() => void (path = join(temporaryDirectory(), 'queue.db')))

/** Runs statements on the file, as another program would. */
function change(...statements: string[]): void {
  const db = new DatabaseSync(path)
  for (const statement of statements) db.exec(statement)
  db.close()
}

async function made(...ids: string[]): Promise<void> {
  await using queue = await openSqliteQueue(path)
  await queue.add(ids.map((id) => entry(id, ['x@a.example'])))
}

async function refusal(opening: Promise<Queue>): Promise<QueueError> {
  const error: unknown = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isQueueError(error)) throw new Error(`${String(error)} is not an error of a queue`)
  return error
}

describe('a file', () => {
  test('of a newer version is refused in one line, and not changed', async () => {
    await made('e1')
    change('PRAGMA user_version = 3')
    const before = readFileSync(path)
    const { code, message } = await refusal(openSqliteQueue(path))
    expect(message).toBe(`the queue ${path} is of version 3; this Postern knows versions up to 1`)
    expect(code).toBe('other-version')
    expect(readFileSync(path)).toEqual(before)
    change('PRAGMA user_version = 1')
    await using queue = await openSqliteQueue(path)
    expect(namesOf(await claimAll(queue))).toEqual(['e1 a.example'])
  })

  test.each([
    ['text', () => writeFileSync(path, 'this is no database '.repeat(100))],
    ['a database of another program', () => change('CREATE TABLE mail (id TEXT)')],
    ['an empty database of another program', () => change('PRAGMA application_id = 7')],
  ])('that is %s is refused, and not changed', async (_, make) => {
    make()
    const before = readFileSync(path)
    const { code, message } = await refusal(openSqliteQueue(path))
    expect([code, message]).toEqual(['other-version', `the queue ${path}: the file is not a queue of Postern`])
    expect(readFileSync(path)).toEqual(before)
  })

  test('that is missing is made only if the caller wants that', async () => {
    const { code, message } = await refusal(openSqliteQueue(path, { isOwner: false, create: false }))
    expect([code, message]).toEqual(['not-found', `there is no queue ${path}`])
    const nowhere = join(path, 'nowhere', 'queue.db')
    expect((await refusal(openSqliteQueue(nowhere))).code).toBe('unavailable')
    await (await openSqliteQueue(path, { isOwner: false })).close()
    await (await openSqliteQueue(path, { isOwner: false, create: false })).close()
  })

  test('can be read only by its user, and so can the files beside it', async () => {
    await using queue = await openSqliteQueue(path)
    await queue.add([entry('e1', ['x@a.example'])])
    const modes = ['', '-wal', '-shm', '-owner'].map((suffix) => statSync(path + suffix).mode & 0o777)
    expect(modes).toEqual([0o600, 0o600, 0o600, 0o600])
  })

  test('that is cut off is corrupt', async () => {
    await made(...Array.from({ length: 500 }, (_, at) => `e${at}`))
    truncateSync(path, 40_960)
    const reading = openSqliteQueue(path).then(async (queue) => {
      await queue.list({ limit: 1_000 })
      return queue
    })
    expect((await refusal(reading)).code).toBe('corrupt')
  })

  test('with an entry that is no JSON names the entry', async () => {
    await made('e1')
    change(`UPDATE delivery SET recipients = '[{'`)
    await using queue = await openSqliteQueue(path)
    await expect(queue.get('e1')).rejects.toThrow(new QueueError('corrupt', 'the entry e1 of the queue is damaged'))
  })
})

describe('a process that is not the owner', () => {
  test('adds and manages entries, and the owner sees that', async () => {
    await using owner = await openSqliteQueue(path)
    await using other = await openSqliteQueue(path, { isOwner: false })
    await other.add([entry('e1', ['x@a.example']), entry('e2', ['x@a.example'])])
    expect(namesOf(await claimAll(owner))).toEqual(['e1 a.example', 'e2 a.example'])
    await other.remove(['e1'])
    expect((await owner.list()).entries.map(({ id }) => id)).toEqual(['e2'])
  })

  test('may not claim or settle', async () => {
    await using other = await openSqliteQueue(path, { isOwner: false })
    await expect(claimAll(other)).rejects.toMatchObject({ code: 'not-owner' })
    await expect(other.settle([])).rejects.toMatchObject({ code: 'not-owner' })
  })
})

test('the owner sees that another has changed the queue, once for each change, and not its own changes', async () => {
  await made('e1')
  await using owner = await openSqliteQueue(path)
  await using other = await openSqliteQueue(path, { isOwner: false, create: false })
  const changed = async (): Promise<unknown> => owner.changed?.()
  expect(await changed()).toBe(false)
  await owner.add([entry('e2', ['x@a.example'])])
  await other.list()
  expect(await changed()).toBe(false)
  for (const change of [
    () => other.hold(['e1']),
    () => other.unhold(['e1']),
    () => other.retry(['e1'], Date.now()),
    // Also one that is due already.
    () => other.retry(['e2'], Date.now()),
    () => other.remove(['e1']),
    () => other.add([entry('e3', ['x@a.example'])]),
  ]) {
    await change()
    expect([await changed(), await changed()]).toEqual([true, false])
  }
})

describe('while another process writes', () => {
  test('a change waits until it has finished', async () => {
    await using queue = await openSqliteQueue(path)
    const db = new DatabaseSync(path)
    db.exec('BEGIN IMMEDIATE')
    let isAdded = false
    const adding = queue.add([entry('e1', ['x@a.example'])]).then(() => (isAdded = true))
    expect(await queue.list()).toEqual({ entries: [] })
    expect(isAdded).toBe(false)
    db.exec('COMMIT')
    db.close()
    await adding
    expect((await queue.list()).entries.map(({ id }) => id)).toEqual(['e1'])
  })

  test('a change is refused after the time for it, and can be made again', async () => {
    await using queue = await openSqliteQueue(path, { busyTimeoutMs: 100 })
    const db = new DatabaseSync(path)
    db.exec('BEGIN IMMEDIATE')
    const error = await refusal(queue.add([entry('e1', ['x@a.example'])]).then(() => queue))
    expect([error.code, error.message]).toEqual(['busy', `the queue ${path}: another process writes to it`])
    db.exec('COMMIT')
    db.close()
    await queue.add([entry('e1', ['x@a.example'])])
    expect((await queue.list()).entries.map(({ id }) => id)).toEqual(['e1'])
  })
})

describe.each(['node', 'deno', 'bun'] as const)('on %s', (runtime) => {
  test('a queue has one owner, also beside other openings in the same process, until the owner is killed', async () => {
    const command = [...COMMANDS[runtime], OWNER, path] as const
    await using owner = await Daemon.start([...command, 'owner'], /ready/)
    expect(owner.stdout).toBe(`first: opened.\nsecond: the queue ${path} is in use by another server.\nready\n`)
    expect((await refusal(openSqliteQueue(path))).code).toBe('owned')
    await using other = await Daemon.start([...command, 'other'], /first: opened\./)
    await using second = await Daemon.start([...command, 'owner'], /first: the queue .* is in use by another server\./)
    for (const each of [second, other, owner]) await each.end('SIGKILL')
    await (await openSqliteQueue(path)).close()
  })

  test('worker threads add while the main thread delivers', async () => {
    await using program = await Daemon.start([...COMMANDS[runtime], THREADS, path], /settled 600\n/)
    expect(await program.ended).toBe(0)
  })
})
