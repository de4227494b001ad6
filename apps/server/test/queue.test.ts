/** `postern queue`: looks at what waits to be sent on and changes it, while a server runs and while none does. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, test as every } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { rowOf } from '../src/cli/queue/words.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { type Command, COMMANDS } from '../../../test/kit/commands.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { freePort } from '../../../test/kit/port.ts'
import { type MailServer, postern, type Result, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { partly } from '../../../test/kit/partly.ts'

/** Each run makes one in three of the tests without a table. */
const test = partly(every, 3)

interface Listed {
  readonly entries: readonly {
    readonly id: string
    readonly envelope: { readonly reversePath: string; readonly size: number }
    readonly deliveries: readonly {
      readonly destination: string
      readonly state: string
      readonly attempts: number
      readonly dueAt: string
      readonly recipients: readonly { readonly address: string; readonly lastReply?: { readonly text: string } }[]
    }[]
  }[]
  readonly cursor?: string
}

const PLAIN = Buffer.from('\0ann@near.example\0tiger').toString('base64')

/** Starts a server that sends mail on to this port. Its queue is in `cwd`. @param edits Commands that edit its accounts first */
async function near(port: number, command?: Command, edits: readonly (readonly string[])[] = []): Promise<MailServer> {
  const cwd = temporaryDirectory()
  await postern(['domain', 'add', 'near.example'], { cwd })
  await postern(['user', 'add', 'ann@near.example'], { cwd, input: 'tiger\n' })
  for (const edit of edits) await postern(edit, { cwd })
  mkdirSync(join(cwd, 'mail'))
  const flags = ['--relay', `smtp://127.0.0.1:${port}`, '--auth-without-tls']
  return serveMail({ store: join(cwd, 'mail'), flags, cwd, ...(command !== undefined && { command }) })
}

async function submit(server: MailServer, to: readonly string[]): Promise<void> {
  const client = await SocketClient.ready(server.port)
  await client.command(`AUTH PLAIN ${PLAIN}`, 235)
  await client.command('MAIL FROM:<ann@near.example>', 250)
  for (const address of to) await client.command(`RCPT TO:<${address}>`, 250)
  await client.command('DATA', 354)
  await client.command('From: ann@near.example\r\nSubject: waiting\r\n\r\nhello\r\n.', 250)
  await client.quit()
}

/** The queue in a directory, by the program. */
function queueIn(
  cwd: string,
  command?: Command,
): { run(line: string): Promise<Result>; listed(line?: string): Promise<Listed> } {
  const run = (line: string): Promise<Result> =>
    postern(['queue', ...line.split(' ')], { cwd, ...(command !== undefined && { command }) })
  const listed = async (line = ''): Promise<Listed> => {
    const { stdout, stderr, code } = await run(`list --json ${line}`.trim())
    expect([stderr, code]).toEqual(['', 0])
    return JSON.parse(stdout) as Listed
  }
  return { run, listed }
}

function spooled(cwd: string): readonly string[] {
  return readdirSync(join(cwd, 'queue/spool'), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile() && !each.name.startsWith('.'))
    .map(({ name }) => name)
}

test('postern show has the sending of a message that is kept too', async () => {
  const server = await near(await freePort(), undefined, [
    ['user', 'add', 'team@near.example', '--no-password'],
    ['rule', 'add', 'team@near.example', 'keep', 'forward=team@else.example'],
  ])
  await submit(server, ['team@near.example', 'bob@far.example'])
  await server.says(/"message":"message waits for another attempt".*"to":"bob@far.example"/)
  await server.says(/"message":"message waits for another attempt".*"to":"team@else.example"/)
  const [kept] = (await mailStore(fs(server.store)).list()).records
  const show = (...args: readonly string[]): Promise<Result> =>
    postern(['show', '--store', `fs:${server.store}`, kept?.id ?? '', ...args], { cwd: server.cwd })
  const { stdout, stderr } = await show()
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^Attempts +1\nPostponed until +\d{4}-\d\d-\d\dT[\d:.]+Z\n$/m)
  expect(stdout).toMatch(/^<bob@far\.example> +far\.example +pending +1 +in \d+ \w+ +\S+Z 4\.4\.2 /m)
  expect(stdout).toMatch(/^<team@else\.example> +else\.example +pending +1 +in /m)
  expect(JSON.parse((await show('--json')).stdout)).toMatchObject({
    record: { id: kept?.id, forwardPaths: [{ address: 'team@near.example' }] },
    sending: {
      attempts: 1,
      postponedUntil: expect.stringMatching(/Z$/),
      failedCount: 0,
      entries: [
        { id: kept?.id },
        { id: `${kept?.id}.1`, deliveries: [{ recipients: [{ address: 'team@else.example' }] }] },
      ],
    },
  })

  // Nobody here gets this one.
  await submit(server, ['eve@far.example'])
  const { entries } = await queueIn(server.cwd).listed()
  const id = entries.at(-1)?.id ?? ''
  expect(await postern(['show', '--store', `fs:${server.store}`, id], { cwd: server.cwd })).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(`^postern: "${id}": the store does not keep it, .* queue show ${id}\n$`),
  })

  rmSync(join(server.cwd, 'queue'), { recursive: true })
  expect(await show('--json')).toMatchObject({ code: 0, stderr: '', stdout: expect.not.stringContaining('sending') })
})

describe.each(sample(RUNTIME_NAMES, 1))('on %s', (runtime) => {
  every('mail waits, is held, goes on within seconds after a retry, or is deleted', async () => {
    const port = await freePort()
    const server = await near(port, RUNTIMES[runtime])
    const { run, listed } = queueIn(server.cwd, RUNTIMES[runtime])
    await submit(server, ['bob@far.example', 'eve@far.example'])
    await server.says(/"message":"message waits for another attempt".*"dueAt"/)

    await expect.poll(async () => (await listed()).entries[0]?.deliveries[0]?.attempts).toBe(1)
    const table = await run('list')
    expect(table).toMatchObject({ code: 0, stderr: '' })
    expect(table.stdout).toMatch(/^ID +AGE +SIZE +FROM +DESTINATION +ATTEMPTS +NEXT +LAST REPLY\n/)
    expect(table.stdout).toMatch(
      /^\S+ +\d+ (?:s|min) +\d+ B +<ann@near\.example> +far\.example +1 +in \d+ (?:s|min) +4\.4\.2 .*127\.0\.0\.1/m,
    )
    const [first] = (await listed()).entries
    const id = first?.id ?? ''
    expect(first?.deliveries[0]).toMatchObject({ destination: 'far.example', state: 'waiting', attempts: 1 })

    expect(await run(`hold ${id}`)).toMatchObject({ code: 0, stdout: 'held 1 message\n', stderr: '' })
    expect((await listed('--state held')).entries.map((each) => each.id)).toEqual([id])
    expect((await run('list')).stdout).toMatch(/ far\.example +1 +held +4\.4\.2 /)
    const refused = await run(`retry ${id}`)
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/^postern: \S+ is held; .* queue release \S+ lets it go\n$/)

    const far = await serveMail({
      store: join(temporaryDirectory(), 'far'),
      listen: [`smtp://127.0.0.1:${port}`],
      flags: ['--domains', 'far.example'],
    })
    expect(await run('release --all')).toMatchObject({ code: 0, stdout: 'released 1 message\n' })
    expect(await run('retry --destination FAR.example')).toMatchObject({ code: 0, stdout: 'retried 1 message\n' })
    // Without the retry, the next attempt would come after minutes.
    await server.says(/"message":"message sent on".*"destination":"far\.example"/)
    const store = mailStore(fs(far.store))
    expect((await store.list({ limit: 10 })).records.map(({ forwardPaths }) => forwardPaths.length)).toEqual([2])
    await expect.poll(async () => (await listed()).entries).toEqual([])
    await expect.poll(() => spooled(server.cwd)).toEqual([])
    expect(await run('list')).toMatchObject({ code: 0, stdout: '', stderr: 'No mail in the queue ./queue.\n' })

    expect(await far.end('SIGTERM')).toBe(0)
    await submit(server, ['bob@far.example'])
    await expect.poll(async () => (await listed()).entries[0]?.deliveries[0]?.attempts).toBe(1)
    expect(await run('delete --all --yes')).toMatchObject({ code: 0, stdout: 'deleted 1 message\n' })
    expect((await listed()).entries).toEqual([])
    expect(spooled(server.cwd)).toEqual([])
    expect(await server.end('SIGTERM')).toBe(0)
    expect((await mailStore(fs(server.store)).list({ limit: 10 })).records).toEqual([])
  })
})

describe('while no server runs', () => {
  let made: string
  beforeAll(async () => {
    const server = await near(await freePort())
    made = server.cwd
    await submit(server, ['bob@far.example', 'eve@far.example', 'x@other.example'])
    await submit(server, ['x@other.example'])
    await submit(server, ['y@third.example'])
    for (const destination of ['far', 'other', 'third'])
      await server.says(
        new RegExp(`"message":"message waits for another attempt".*"destination":"${destination}\\.example"`),
      )
    expect(await server.end('SIGTERM')).toBe(0)
  })

  /** Copies the queue, so that each test may change it. */
  function copied(): string {
    const cwd = temporaryDirectory()
    for (const { parentPath, name } of readdirSync(join(made, 'queue'), {
      recursive: true,
      withFileTypes: true,
    }).filter((each) => each.isFile())) {
      const to = join(cwd, parentPath.slice(made.length))
      mkdirSync(to, { recursive: true })
      copyFileSync(join(parentPath, name), join(to, name))
    }
    return cwd
  }

  test('show has each recipient with its last reply, and --raw the message', async () => {
    const { run, listed } = queueIn(made)
    const id = (await listed()).entries[0]?.id ?? ''
    const shown = await run(`show ${id}`)
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    expect(shown.stdout).toMatch(new RegExp(`^Message +${id}\nQueued +\\S+, .* ago\nFrom +<ann@near\\.example>\n`))
    expect(shown.stdout).toMatch(/^<bob@far\.example> +far\.example +pending +1 +\S.*4\.4\.2 /m)
    expect(shown.stdout).toMatch(/^<x@other\.example> +other\.example +pending +/m)
    const raw = await run(`show ${id} --raw`)
    expect(raw.stdout).toMatch(/^Received: [^]*\r\nSubject: waiting\r\n\r\nhello\r\n$/)
    expect(raw.bytes.length).toBe((await listed()).entries[0]?.envelope.size)
    const json = JSON.parse((await run(`show ${id} --json`)).stdout) as Listed['entries'][number]
    expect(json).toEqual((await listed()).entries[0])
    expect(json.deliveries[0]?.dueAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  test('a list goes on at its cursor, and has one destination or state if it is asked for it', async () => {
    const { run, listed } = queueIn(made)
    const all = (await listed()).entries.map(({ id }) => id)
    expect(all.length).toBe(3)
    const { entries, cursor } = await listed('--limit 2')
    expect([entries.map(({ id }) => id), cursor]).toEqual([all.slice(0, 2), expect.stringMatching(/^\d+$/)])
    expect((await listed(`--limit 2 --cursor ${cursor}`)).entries.map(({ id }) => id)).toEqual(all.slice(2))
    expect((await run('list --limit 2')).stderr).toMatch(new RegExp(`^More: .* queue list --cursor ${cursor}\n$`))
    expect((await listed('--destination other.example')).entries.map(({ id }) => id)).toEqual(all.slice(0, 2))
    const rows = (await run('list --destination other.example')).stdout.split('\n').slice(1, -1)
    expect(rows.map((row) => /\S+\.example(?= )/.exec(row.replace(/<.*>/, ''))?.[0])).toEqual(
      Array.from({ length: 2 }, () => 'other.example'),
    )
    expect((await listed('--state held')).entries).toEqual([])
    expect((await run('list --state held')).stderr).toBe('No such mail in the queue ./queue.\n')
  })

  test('stats counts messages, deliveries and destinations', async () => {
    const cwd = copied()
    const { run } = queueIn(cwd)
    expect((await run('hold --destination third.example')).stdout).toBe('held 1 message\n')
    const { stdout } = await run('stats')
    expect(stdout).toMatch(/^Messages +3\nOldest +\d+ \w+ ago\n/)
    expect(stdout).toMatch(/^Deliveries held +1$/m)
    expect(stdout).toMatch(/\nDESTINATION +DELIVERIES\nother\.example +2\n/)
    expect(JSON.parse((await run('stats --json')).stdout)).toMatchObject({
      entries: 3,
      deliveries: { held: 1, finished: 0 },
      oldestQueuedAt: expect.stringMatching(/Z$/),
      destinations: expect.arrayContaining([{ destination: 'far.example', deliveries: 1 }]),
      otherDestinations: 0,
    })
  })

  test('delete removes entries with their messages, and goes on after an id that is not there', async () => {
    const cwd = copied()
    const { run, listed } = queueIn(cwd)
    const [one = '', two = '', three = ''] = (await listed()).entries.map(({ id }) => id)
    expect(spooled(cwd).length).toBe(3)
    const { code, stdout, stderr } = await run(`delete ${one} NOT-THERE ${two}`)
    expect([code, stdout]).toEqual([1, 'deleted 2 messages\n'])
    expect(stderr).toBe('postern: there is no message NOT-THERE in the queue\n')
    expect((await listed()).entries.map(({ id }) => id)).toEqual([three])
    expect(spooled(cwd)).toEqual([three])
    const json = await run(`delete --json ${three} ${one}`)
    expect(
      json.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { id: one, deleted: false },
      { id: three, deleted: true },
    ])
    expect([(await listed()).entries, spooled(cwd)]).toEqual([[], []])
  })

  test('a message that is missing in the spool, or a spool that is no directory, is one line', async () => {
    const cwd = copied()
    const { run, listed } = queueIn(cwd)
    const id = (await listed()).entries[0]?.id ?? ''
    rmSync(join(cwd, 'queue/spool'), { recursive: true })
    expect(await run(`show ${id} --raw`)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `postern: the message ${id} is not in the spool\n`,
    })
    rmSync(join(cwd, 'queue/spool'), { recursive: true })
    writeFileSync(join(cwd, 'queue/spool'), '')
    const { code, stdout, stderr } = await run(`delete ${id}`)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^postern: [^\n]*queue\/spool[^\n]*\n$/)
    expect((await listed()).entries[0]?.id).toBe(id)
  })

  test('Deno needs no more than its documented permissions', async () => {
    const [deno] = COMMANDS.deno
    const command: Command = [deno, 'run', '--no-prompt', '--allow-read=.', '--allow-write=queue']
    const cwd = copied()
    const { run, listed } = queueIn(cwd, command)
    const id = (await listed()).entries[0]?.id ?? ''
    expect((await run(`show ${id} --raw`)).stdout).toContain('Subject: waiting')
    expect(await run('delete --all --yes')).toMatchObject({ code: 0, stdout: 'deleted 3 messages\n', stderr: '' })
    expect(spooled(cwd)).toEqual([])
  })

  test('held messages are not retried, and --all says that there is nothing to do', async () => {
    const { run, listed } = queueIn(copied())
    expect((await run('hold --all --json')).stdout.split('\n').length).toBe(4)
    const nothing = { code: 0, stdout: '', stderr: 'Nothing to retry in the queue ./queue.\n' }
    expect(await run('retry --all')).toMatchObject(nothing)
    const states = async (): Promise<Set<string>> =>
      new Set((await listed()).entries.flatMap(({ deliveries }) => deliveries.map(({ state }) => state)))
    expect(await states()).toEqual(new Set(['held']))
    expect(await run('release --all')).toMatchObject({ code: 0, stdout: 'released 3 messages\n' })
    expect(await run('retry --all')).toMatchObject({ code: 0, stdout: 'retried 3 messages\n', stderr: '' })
    const due = (await listed()).entries.flatMap(({ deliveries }) => deliveries.map(({ dueAt }) => Date.parse(dueAt)))
    expect(Math.max(...due)).toBeLessThanOrEqual(Date.now())
  })

  test('a reply that holds escape sequences is shown as text on one line', async () => {
    const cwd = copied()
    const db = new DatabaseSync(join(cwd, 'queue/queue.sqlite'))
    const text = JSON.stringify('\u001b]0;owned\u0007\r\nFAKE ROW')
    db.exec(
      `UPDATE delivery SET recipients = json_set(recipients, '$[0].lastReply', json('{"at":1,"code":451,"enhancedCode":"4.7.1","text":${text},"host":"mx.far.example"}'))`,
    )
    db.close()
    const { run, listed } = queueIn(cwd)
    for (const line of ['list', `show ${(await listed()).entries[0]?.id}`]) {
      const { stdout } = await run(line)
      expect(stdout).toContain(String.raw`451 4.7.1 \x1b]0;owned\x07\x0d\x0aFAKE ROW (mx.far.example)`)
      expect(stdout).not.toContain('\u001b')
    }
    expect((await run('list --json')).stdout).not.toContain('\u001b')
  })

  test('a queue of a newer version is refused in one line, and not changed', async () => {
    const cwd = copied()
    const path = join(cwd, 'queue/queue.sqlite')
    const db = new DatabaseSync(path)
    db.exec('PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)')
    db.close()
    const before = readFileSync(path)
    for (const line of ['list', 'retry --all', 'delete --all --yes']) {
      const { code, stdout, stderr } = await queueIn(cwd).run(line)
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(/^postern: the queue \S+queue\.sqlite is of version 99; .* versions up to \d+\n$/)
    }
    expect(readFileSync(path)).toEqual(before)
  })

  test.each([
    ['show NOT-THERE', 1, 'there is no message NOT-THERE in the queue'],
    ['hold NOT-THERE', 1, 'there is no message NOT-THERE in the queue'],
    ['show', 2, 'queue show: give the id of one message'],
    ['retry', 2, 'queue retry: give the ids of messages, --all, or --destination'],
    ['hold A --all', 2, 'queue hold: give either ids, --all, or --destination'],
    ['delete', 2, 'queue delete: give the ids of messages, or --all'],
    ['delete --all', 2, 'queue delete --all: there is no terminal to ask; give --yes'],
    ['delete A --yes', 2, '--yes: is only for --all'],
    ['delete --destination far.example', 2, 'queue delete: it does not take --destination'],
    ['stats --limit 3', 2, 'queue stats: it does not take --limit'],
    ['list A', 2, 'queue list: it takes no ids; postern queue show ID shows one message'],
    ['list --limit 0', 2, '--limit: "0" is not a whole number from 1 to 9999999'],
    ['list --cursor x', 2, '--cursor: "x" is not a cursor that postern queue list has printed'],
    ['show A --raw --json', 2, '--json: cannot be used with --raw'],
  ])('queue %s ends with %i and one line', async (line, code, said) => {
    const before = readFileSync(join(made, 'queue/queue.sqlite'))
    expect(await queueIn(made).run(line)).toMatchObject({ code, stdout: '', stderr: `postern: ${said}\n` })
    expect(readFileSync(join(made, 'queue/queue.sqlite'))).toEqual(before)
  })
})

test('a command makes no queue where there is none, and refuses a file that is no queue', async () => {
  const cwd = temporaryDirectory()
  for (const line of ['list', 'stats', 'retry --all']) {
    const { code, stdout, stderr } = await queueIn(cwd).run(line)
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/^postern: there is no queue \S*queue\/queue\.sqlite\n$/)
  }
  expect(readdirSync(cwd)).toEqual([])
  mkdirSync(join(cwd, 'queue'))
  writeFileSync(join(cwd, 'queue/queue.sqlite'), 'this is no database '.repeat(100))
  const { code, stderr } = await queueIn(cwd).run('list')
  expect([code, stderr.split('\n').length]).toEqual([2, 2])
  expect(stderr).toContain('the file is not a queue of Postern')
})

test('the row of a delivery has the last reply for those who still wait', () => {
  const reply = { at: 1, code: 451, enhancedCode: '4.7.1', text: 'later', host: 'mx.far.example' }
  const waiting = { address: 'a@far.example', state: 'pending', attempts: 1, isDelayNotified: false, lastReply: reply }
  const taken = { ...waiting, state: 'relayed', lastReply: { ...reply, at: 2, code: 250, text: 'taken' } }
  const row = (recipients: readonly object[]): string | undefined => {
    const delivery = { destination: 'far.example', state: 'waiting', attempts: 1, dueAt: 0, recipients }
    const entry = { id: 'id', messageId: 'id', queuedAt: 0, envelope: { reversePath: '' }, deliveries: [delivery] }
    return rowOf(entry as never, delivery as never, 0).at(-1)
  }
  expect(row([waiting, taken])).toBe('451 4.7.1 later (mx.far.example)')
  expect(row([taken])).toContain('taken')
})
