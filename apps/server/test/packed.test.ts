/** A server that keeps mail in packs, and the commands on a directory of them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fs } from '@postern/storage/fs'
import { describe, expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serve } from '../../../test/kit/postern.ts'

function packsIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('.pack-'))
}

describe.concurrent('postern --store fs:DIRECTORY?layout=packed', { timeout: 60_000 }, () => {
  test('serve stores mail in packs, and list, show, export, delete and sweep find it without the layout', async () => {
    const running = await serve(['--store', 'fs:./mail?layout=packed'])
    const { cwd } = running
    expect(running.stdout).toContain(`fs:./mail?layout=packed (${join(cwd, 'mail')})`)
    expect(running.stdout).toContain(`list --store 'fs:./mail?layout=packed'`)
    const client = await SocketClient.ready(running.ports[0] as number)
    for (const subject of ['One', 'Two']) {
      for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>']) {
        expect((await client.command(line)).text).toMatch(/^250 /)
      }
      expect((await client.command('DATA')).text).toMatch(/^354 /)
      expect((await client.command(`Subject: ${subject}\r\n\r\nHi\r\n.`)).text).toMatch(/^250 /)
    }
    running.signal('SIGTERM')
    expect(await running.ended).toBe(0)
    expect(readFileSync(join(cwd, 'mail/.postern'), 'utf8')).toBe('packed 1\n')
    expect(packsIn(join(cwd, 'mail')).length).toBeGreaterThan(0)

    const listed = JSON.parse((await postern(['list', '--json'], { cwd })).stdout) as { records: { id: string }[] }
    const [two, one] = listed.records.map(({ id }) => id) as [string, string]
    expect(listed.records).toHaveLength(2)
    expect((await postern(['show', one, '--raw'], { cwd })).stdout).toMatch(/\r\nSubject: One\r\n\r\nHi\r\n$/)
    const mbox = (await postern(['export', '--format', 'mbox'], { cwd })).stdout
    expect(mbox.match(/^Subject: .*$/gm)).toHaveLength(2)
    expect(await postern(['delete', one], { cwd })).toMatchObject({ code: 0, stdout: `deleted ${one}\n` })
    expect((await postern(['show', one], { cwd })).stderr).toMatch(/there is no such message\n$/)
    const sweep = ['sweep', '--store', 'fs:./mail?layout=packed', '--keep-count', '1', '--json']
    expect((await postern(sweep, { cwd })).code).toBe(0)
    expect((await postern(['list', '--json'], { cwd })).stdout).toContain(two)
  })

  test.each([
    ['packed', 'files', 'holds mail in the layout packed 1, not fs 1; open it without naming a layout,'],
    ['files', 'packed', 'holds mail in the layout fs 1, not packed 1; open it without naming a layout,'],
  ] as const)('a directory of %s is not opened as one of %s', async (one, other, line) => {
    const cwd = temporaryDirectory()
    fs(join(cwd, 'mail'), { layout: one })
    for (const command of ['serve', 'list']) {
      const store = `fs:./mail?layout=${other}`
      const { code, stdout, stderr } = await postern([command, '--store', store], { cwd })
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toBe(`postern: --store ${store}: ${join(cwd, 'mail')} ${line} or name another directory\n`)
    }
  })

  test('an unknown layout is refused in one line, and nothing is created', async () => {
    const cwd = temporaryDirectory()
    for (const query of ['layout=heaps', 'layot=packed']) {
      for (const command of ['serve', 'list']) {
        const { code, stdout, stderr } = await postern([command, '--store', `fs:./mail?${query}`], { cwd })
        expect([code, stdout]).toEqual([2, ''])
        expect(stderr).toBe(
          `postern: --store fs:./mail?${query}: after the ? only layout=files or layout=packed is allowed, not ${query}\n`,
        )
      }
    }
    expect(readdirSync(cwd)).toEqual([])
  })

  test('a question mark in a directory name is part of the name', async () => {
    const running = await serve(['--store', 'fs:./what?'])
    expect(readdirSync(running.cwd)).toContain('what?')
    running.signal('SIGTERM')
    await running.ended
  })
})
