/** `--domains`: the domains that mail is accepted for. */
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CURL } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, run, type Postern, type RunOptions, serve } from '../../../test/kit/postern.ts'

const NOT_OURS = '550 5.7.1 No mail is taken for this domain here'
const TAKEN = '250 2.1.5 Ok'

/** Returns the replies to these recipients. */
async function replies(running: Postern, recipients: readonly string[]): Promise<string[]> {
  const client = await SocketClient.ready(running.ports[0] as number)
  await client.command('MAIL FROM:<a@example.net>')
  const answers: string[] = []
  for (const recipient of recipients) answers.push((await client.command(`RCPT TO:<${recipient}>`)).text)
  client.end()
  return answers
}

function domainsRow(running: Postern): string | undefined {
  return /^ +Domains +(.*)$/m.exec(running.stdout)?.[1]
}

describe.concurrent('--domains', () => {
  test('refuses recipients in other domains, and never the postmaster', async () => {
    const running = await serve(['--domains', 'Example.com,*.example.org', '--domains', 'example.net'])
    expect(domainsRow(running)).toBe('example.com, *.example.org, example.net')
    const recipients = ['b@EXAMPLE.com', 'b@a.b.example.org', 'b@example.net', 'postmaster']
    const taken = await replies(running, recipients)
    expect(taken.map((reply) => reply.slice(0, 3))).toEqual(['250', '250', '250', '250'])
    expect(await replies(running, ['b@example.org', 'b@mx.example.com', 'postmaster@other.example'])).toEqual([
      NOT_OURS,
      NOT_OURS,
      NOT_OURS,
    ])
    await running.says(
      /"message":"refused".*"verb":"RCPT","guard":"domains","reply":"550 5\.7\.1 No mail is taken for this domain here"/,
    )
  })

  test.each<[string, readonly string[], RunOptions, string]>([
    ['it is not given', [], {}, 'mail for every domain is accepted; give --domains to name yours'],
    ['it is *', ['--domains', '*'], {}, 'all'],
    [
      'the environment has it',
      [],
      { env: { POSTERN_DOMAINS: 'a.example b.example,c.example' } },
      'a.example, b.example, c.example',
    ],
  ])('the start message names the domains if %s', async (_, args, options, expected) => {
    expect(domainsRow(await serve(args, options))).toBe(expected)
  })

  testWith([CURL], 'the printed command has a recipient in one of the domains', async () => {
    const running = await serve(['--domains', '*.example.org'])
    const [, curl = ''] = /^ {2}(printf .*curl .*)$/m.exec(running.stdout) ?? []
    expect(curl).toContain('you@mail.example.org')
    expect(await run('sh', ['-c', curl], { cwd: running.cwd })).toMatchObject({ code: 0, stderr: '' })
  })

  test('the user’s hook is asked first, and cannot accept mail for another domain', async () => {
    const cwd = temporaryDirectory()
    symlinkSync(join(import.meta.dirname, '../node_modules'), join(cwd, 'node_modules'))
    writeFileSync(
      join(cwd, 'postern.config.ts'),
      `import { reply } from '@postern/engine'
      export default {
        store: 'memory:',
        domains: ['example.com'],
        handlers: {
          rcpt: ({ localPart }) => localPart === 'nobody' ? reply(550, '5.1.1', 'Nobody') : reply(250, '2.1.5', 'Ok'),
        },
      }`,
    )
    const running = await serve([], { cwd })
    expect(await replies(running, ['b@example.com', 'b@example.net', 'nobody@example.net'])).toEqual([
      TAKEN,
      NOT_OURS,
      '550 5.1.1 Nobody',
    ])
  })

  test('workers refuse other domains too', async () => {
    const running = await serve(['--domains', 'example.com', '--workers', '2', '--store', 'fs:./mail'])
    expect(domainsRow(running)).toBe('example.com')
    expect(await replies(running, ['b@example.net'])).toEqual([NOT_OURS])
  })

  test.each([
    [
      ['--domains', 'ann@example.com'],
      /^postern: --domains: "ann@example\.com" is not a domain such as example\.com, /,
    ],
    [['--domains', 'example.com,,example.org'], /^postern: --domains: "" is not a domain such as example\.com, /],
  ])('%j is refused as a value', async (args, line) => {
    const { code, stderr } = await postern(['serve', '--store', 'memory:', ...args])
    expect(stderr).toMatch(line)
    expect(code).toBe(2)
  })
})
