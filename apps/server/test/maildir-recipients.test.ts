/** Which recipients a server with Maildirs accepts: over the wire, on each runtime, with one worker and with two. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, type RunOptions, type Postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const { resolve: find } = createRequire(import.meta.url)
const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: [process.execPath],
  deno: [resolve(find('deno/package.json'), '../deno'), 'run', '--no-prompt', '--allow-all', '--unstable-net'],
  bun: ['bun', 'run'],
}
const TIMEOUT_MS = 90_000
const HOST = ['--hostname', 'mx.example.net']

function makeMailbox(cwd: string, mailbox: string): void {
  for (const folder of ['new', 'cur', 'tmp']) mkdirSync(join(cwd, 'vhosts', mailbox, folder), { recursive: true })
}

/** Directories of domains. */
function domainsIn(cwd: string): string[] {
  return readdirSync(join(cwd, 'vhosts')).filter((name) => !name.startsWith('.'))
}

/** Answers to RCPT, in one transaction. */
async function answers(client: SocketClient, addresses: readonly string[]): Promise<string[]> {
  expect((await client.command('MAIL FROM:<a@sender.example>')).text).toMatch(/^250 /)
  const replies: string[] = []
  for (const address of addresses) replies.push((await client.command(`RCPT TO:<${address}>`)).text)
  return replies
}

function connected(running: Postern): Promise<SocketClient> {
  return SocketClient.ready(running.ports[0] as number)
}

async function stop(running: Postern): Promise<void> {
  running.signal('SIGTERM')
  expect(await running.ended).toBe(0)
}

const ROWS = Object.keys(RUNTIMES).flatMap((name) => [1, 2].map((workers) => ({ name, workers })))

test.each(sample(ROWS, 1))(
  'on $name with $workers workers, recipients without a Maildir are refused, and a thousand of them create nothing',
  { timeout: TIMEOUT_MS },
  async ({ name, workers }) => {
    const cwd = temporaryDirectory()
    makeMailbox(cwd, 'example.com/ann')
    const command = RUNTIMES[name]
    const options: RunOptions = { cwd, ...(command !== undefined && { command }) }
    const args = ['--store', 'maildir:./vhosts', '--workers', String(workers), '--log-format', 'json', ...HOST]
    const running = await serve(args, options)
    const client = await connected(running)
    const strangers = Array.from({ length: 990 }, (_, index) => `user${index}@d${index}.example`)
    const replies = await answers(client, ['Ann+x@Example.com', 'bob@example.com', 'Postmaster', ...strangers])
    expect(replies.map((reply) => reply.slice(0, 9))).toEqual([
      '250 2.1.5',
      '550 5.1.1',
      '250 2.1.5',
      ...strangers.map(() => '550 5.1.1'),
    ])
    expect(replies[1]).toBe('550 5.1.1 No such mailbox here')
    expect(domainsIn(cwd)).toEqual(['example.com'])
    expect((await client.command('DATA')).text).toMatch(/^354 /)
    expect((await client.command('Subject: Hello\r\n\r\nHi\r\n.')).text).toMatch(/^250 2\.0\.0 OK queued as /)
    expect(domainsIn(cwd)).toEqual(['example.com', 'mx.example.net'])
    expect(readdirSync(join(cwd, 'vhosts/example.com'))).toEqual(['ann'])
    for (const mailbox of ['example.com/ann', 'mx.example.net/postmaster']) {
      expect(readdirSync(join(cwd, 'vhosts', mailbox, 'new'))).toHaveLength(1)
    }
    await running.says(/"message":"refused".*"verb":"RCPT","reply":"550 5\.1\.1 No such mailbox here"/)
    await stop(running)
  },
)

test(
  'create=domain creates mailboxes in existing domains, create=any all mailboxes',
  { timeout: TIMEOUT_MS },
  async () => {
    const cwd = temporaryDirectory()
    mkdirSync(join(cwd, 'vhosts/example.com'), { recursive: true })
    const addresses = [
      'ann@example.com',
      'ann@example.org',
      'ann@mx.example.net',
      'postmaster@example.com',
      'postmaster',
    ]
    const rows = [
      ['none', ['550', '550', '550', '250', '250']],
      ['domain', ['250', '550', '550', '250', '250']],
      ['any', ['250', '250', '250', '250', '250']],
    ] as const
    for (const [create, codes] of sample(rows, 2, 3)) {
      const running = await serve(['--store', `maildir:./vhosts?create=${create}`, ...HOST], { cwd })
      const client = await connected(running)
      expect((await answers(client, addresses)).map((reply) => reply.slice(0, 3))).toEqual(codes)
      await client.command('DATA')
      expect((await client.command('Subject: Hello\r\n\r\nHi\r\n.')).text).toMatch(/^250 /)
      expect(existsSync(join(cwd, 'vhosts/example.com/ann/new'))).toBe(create !== 'none')
      expect(existsSync(join(cwd, 'vhosts/example.org'))).toBe(create === 'any')
      await stop(running)
    }
  },
)

test("the user's own hook is asked first, and its refusal is sent with its text", { timeout: TIMEOUT_MS }, async () => {
  const cwd = temporaryDirectory()
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
  const config = (later: string): string => `
import { reply } from '@postern/engine'
export default {
  store: 'maildir:./vhosts',
  handlers: {
    ${later} rcpt({ localPart }) {
      if (localPart === 'never') return reply(550, '5.7.1', 'Not for you')
      if (localPart === 'ann' || localPart === 'bob') return reply(250, '2.1.5', 'Mine')
    },
  },
}
`
  for (const name of ['never', 'ann', 'carl']) makeMailbox(cwd, `example.com/${name}`)
  for (const later of sample(['', 'async'], 1, 1)) {
    writeFileSync(join(cwd, 'postern.config.ts'), config(later))
    const running = await serve([], { cwd })
    const client = await connected(running)
    const addresses = ['never', 'ann', 'bob', 'carl', 'dora'].map((name) => `${name}@example.com`)
    expect(await answers(client, addresses)).toEqual([
      '550 5.7.1 Not for you',
      '250 2.1.5 Mine',
      '550 5.1.1 No such mailbox here',
      expect.stringMatching(/^250 2\.1\.5 /),
      '550 5.1.1 No such mailbox here',
    ])
    await stop(running)
  }
})

test(
  'a server without a mailbox says what to do, and prints a command that sends to the postmaster',
  { timeout: TIMEOUT_MS },
  async () => {
    const cwd = temporaryDirectory()
    const root = join(cwd, 'vhosts')
    const args = ['--store', 'maildir:./vhosts', ...HOST]
    for (const workers of sample(['1', '2'], 1, 2)) {
      const running = await serve([...args, '--workers', workers], { cwd })
      await running.says(/all recipients but the postmaster are refused/)
      expect(running.stderr).toContain(
        `"there is no mailbox yet; make ${root}/example.com/ann/{new,cur,tmp}, or give ?create=domain or ?create=any"`,
      )
      expect(running.stdout).toContain(' --to postmaster\n')
      expect(running.stdout).toContain(' --mail-rcpt postmaster ')
      const client = await connected(running)
      expect(await answers(client, ['postmaster'])).toEqual([expect.stringMatching(/^250 /)])
      await stop(running)
    }
    const byDomain = await serve(['--store', 'maildir:./vhosts?create=domain', ...HOST], { cwd })
    await byDomain.says(/all recipients but the postmaster are refused/)
    expect(byDomain.stderr).toContain(`"there is no domain yet; make ${root}/example.com, or give ?create=any"`)
    await stop(byDomain)
    // If there is a mailbox, the server prints no advice.
    makeMailbox(cwd, 'example.com/ann')
    const running = await serve(args, { cwd })
    await stop(running)
    expect(running.stdout + running.stderr).not.toContain('are refused')
    rmSync(join(root, 'example.com/ann'), { recursive: true })
    const again = await serve(['--store', 'maildir:./vhosts?create=domain', ...HOST], { cwd })
    await stop(again)
    expect(again.stdout + again.stderr).not.toContain('are refused')
  },
)

test('an unknown value of create is refused in one line, and nothing is created', { timeout: TIMEOUT_MS }, async () => {
  const cwd = temporaryDirectory()
  const queries = ['create=all', 'create=', 'layout=packed', 'create=any&create=none']
  const starts = queries.flatMap((query) => ['serve', 'list', 'sweep'].map((name) => ({ query, name })))
  for (const { query, name } of sample(starts, 2)) {
    const store = `maildir:./vhosts?${query}`
    const { code, stdout, stderr } = await postern([name, '--store', store], { cwd })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toBe(
      `postern: --store ${store}: after the ? only create=none, create=domain or create=any is allowed, not ${query}\n`,
    )
  }
  expect(readdirSync(cwd)).toEqual([])
})

test('while the directory is lost, every recipient gets a temporary refusal', { timeout: TIMEOUT_MS }, async () => {
  const cwd = temporaryDirectory()
  makeMailbox(cwd, 'example.com/ann')
  const running = await serve(['--store', 'maildir:./vhosts', ...HOST], { cwd })
  const client = await connected(running)
  const addresses = ['ann@example.com', 'bob@example.com']
  expect((await answers(client, addresses)).map((reply) => reply.slice(0, 3))).toEqual(['250', '550'])
  await client.command('RSET')
  renameSync(join(cwd, 'vhosts'), join(cwd, 'elsewhere'))
  mkdirSync(join(cwd, 'vhosts'))
  expect(await answers(client, addresses)).toEqual([
    expect.stringMatching(/^451 4\.3\.0 /),
    expect.stringMatching(/^451 4\.3\.0 /),
  ])
  await client.command('RSET')
  rmSync(join(cwd, 'vhosts'), { recursive: true })
  renameSync(join(cwd, 'elsewhere'), join(cwd, 'vhosts'))
  expect((await answers(client, addresses)).map((reply) => reply.slice(0, 3))).toEqual(['250', '550'])
  await stop(running)
})
