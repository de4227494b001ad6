/** A server that delivers into Maildirs, and the commands on them. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { fs } from '@postern/storage/fs'
import { maildir } from '@postern/storage/maildir'
import { describe, expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, type Result, serve } from '../../../test/kit/postern.ts'

const STORE = ['--store', 'maildir:./vhosts?create=any']

async function command(cwd: string, ...args: string[]): Promise<Result> {
  return postern([...args, ...STORE], { cwd })
}

interface Listed {
  readonly records: readonly { readonly id: string; readonly maildir: { file: string; mailboxes: string[] } }[]
}

async function list(cwd: string): Promise<Listed['records']> {
  return (JSON.parse((await command(cwd, 'list', '--json')).stdout) as Listed).records
}

describe.concurrent('postern --store maildir:', { timeout: 60_000 }, () => {
  test('serve delivers to recipients in two domains and to the postmaster; list, show, export, delete and sweep', async () => {
    const running = await serve([...STORE, '--hostname', 'mx.example.net'])
    const { cwd } = running
    expect(running.stdout).toContain(`maildir:./vhosts?create=any (${join(cwd, 'vhosts')})`)
    expect(running.stdout).toContain("list --store 'maildir:./vhosts?create=any'")

    const client = await SocketClient.ready(running.ports[0] as number)
    for (const line of [
      'MAIL FROM:<>',
      'RCPT TO:<Ann+x@Example.com>',
      'RCPT TO:<"../b c"@[192.0.2.1]>',
      'RCPT TO:<Postmaster>',
    ]) {
      expect((await client.command(line)).text).toMatch(/^250 /)
    }
    expect((await client.command('DATA')).text).toMatch(/^354 /)
    expect((await client.command('Subject: Hello\r\n\r\n..dot\r\n.')).text).toMatch(/^250 2\.0\.0 OK queued as /)

    const [record] = await list(cwd)
    const mailboxes = ['example.com/ann', '%5B192.0.2.1%5D/%2E.%2Fb%20c', 'mx.example.net/postmaster']
    expect(record?.maildir.mailboxes).toEqual(mailboxes)
    const paths = mailboxes.map((mailbox) => join(cwd, 'vhosts', mailbox, 'new', record?.maildir.file ?? ''))
    expect(new Set(paths.map((path) => statSync(path).ino)).size).toBe(1)
    expect(readFileSync(paths[0] ?? '', 'latin1')).toMatch(
      /^Return-Path: <>\nReceived: from [^\r]*\nSubject: Hello\n\n\.dot\n$/,
    )
    expect(readdirSync(join(cwd, 'vhosts')).toSorted()).toEqual([
      '%5B192.0.2.1%5D',
      '.postern',
      '.records',
      '.tmp',
      'example.com',
      'mx.example.net',
    ])
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)

    const id = record?.id ?? ''
    expect((await command(cwd, 'show', id)).stdout).toMatch(/^Mailbox +example\.com\/ann$/m)
    expect((await command(cwd, 'show', id, '--raw')).stdout).toMatch(/\r\nSubject: Hello\r\n\r\n\.dot\r\n$/)
    expect((await command(cwd, 'export', '--format', 'mbox')).stdout).toContain('\nSubject: Hello\n')

    // One of three readers removes it, then it is deleted for the others.
    rmSync(paths[0] ?? '')
    expect(await list(cwd)).toHaveLength(1)
    expect(await command(cwd, 'delete', id)).toMatchObject({ code: 0, stdout: `deleted ${id}\n` })
    expect(paths.filter((path) => existsSync(path))).toEqual([])
    expect(await list(cwd)).toEqual([])
  })

  test('sweep removes the old envelope of a message that a mail reader removed', async () => {
    const running = await serve(STORE)
    const { cwd } = running
    const client = await SocketClient.ready(running.ports[0] as number)
    await client.data('Subject: Hello\r\n\r\nHi\r\n')
    expect((await client.command('.')).text).toMatch(/^354 |^250 /)
    await running.says(/^kept /m)
    running.signal('SIGTERM')
    await running.ended
    const [record] = await list(cwd)
    rmSync(join(cwd, 'vhosts/example.com/b/new', record?.maildir.file ?? ''))
    expect((await command(cwd, 'show', record?.id ?? '')).stderr).toMatch(/there is no such message\n$/)
    const records = join(cwd, 'vhosts/.records')
    const envelope = readdirSync(records, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith('.json'))
    const old = new Date(Date.now() - 49 * 3_600_000)
    utimesSync(join(records, envelope ?? ''), old, old)
    expect((await command(cwd, 'sweep')).code).toBe(0)
    expect(existsSync(join(records, envelope ?? ''))).toBe(false)
  })

  test.each([
    ['maildir:', 'fs:', 'holds mail in the layout maildir 1, not fs 1; open it as maildir: or name another directory'],
    ['fs:', 'maildir:', 'holds mail in the layout fs 1, not maildir 1; open it as fs: or name another directory'],
  ])('a directory that %s created is refused for %s in one line', async (one, other, line) => {
    const cwd = temporaryDirectory()
    if (one === 'fs:') fs(join(cwd, 'mail'))
    else maildir(join(cwd, 'mail'))
    for (const command of ['serve', 'list']) {
      const { code, stdout, stderr } = await postern([command, '--store', `${other}./mail`], { cwd })
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toBe(`postern: --store ${other}./mail: ${join(cwd, 'mail')} ${line}\n`)
    }
  })
})
