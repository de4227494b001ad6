/** `postern watch`, and `list` with filters and `--follow`: the real program beside a program that stores. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { mailStore, type MailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { maildir } from '@postern/storage/maildir'
import { describe, expect, test } from 'vitest'
import { idAt, messageOf, SESSION } from '../../../test/contracts/mail/messages.ts'
import { TERMINAL } from '../../../test/kit/abilities.ts'
import { Daemon } from '../../../test/kit/daemon.ts'
import { testWith } from '../../../test/kit/need.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { MAIN, Postern, postern } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

/** What a message of the contracts reads at once. */
const PIECE = 4096
const PATIENCE = { timeout: 240_000 }

interface Envelope {
  readonly from?: string
  readonly to?: readonly string[]
  readonly text?: string
  /** When the id was made. */
  readonly at?: number
}

let count = 0

/** Stores a message. @returns its id */
async function save(
  store: MailStore,
  { from = 'a@example.org', to = ['b@example.com'], text = 'hello\r\n', at = Date.now() }: Envelope = {},
): Promise<string> {
  const id = idAt(at, count++)
  const bytes = new TextEncoder().encode(text)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE))
  const message = messageOf(id, pieces)
  const path = (address: string) => {
    const end = address.lastIndexOf('@')
    return {
      address,
      localPart: address.slice(0, end),
      domain: address.slice(end + 1),
      parameters: new Map<string, string>(),
    }
  }
  const envelope = { ...message.envelope, reversePath: path(from), forwardPaths: to.map(path) }
  await store.save({ ...message, envelope, receivedAt: new Date(at) }, SESSION)
  return id
}

/** Stores messages until the program shows one, so that it has begun to watch. @returns the ids */
async function untilShown(store: MailStore, watching: Postern): Promise<string[]> {
  const ids: string[] = []
  const shown = watching.says(/01[0-9A-Z]{24}/).then(() => true)
  do ids.push(await save(store))
  while (!(await Promise.race([shown, new Promise<false>((resolve) => setTimeout(resolve, 200, false))])))
  return ids
}

const idsIn = (text: string): string[] => text.match(/\b01[0-9A-Z]{24}\b/g) ?? []

const STORES: Readonly<Record<string, (directory: string) => MailStore>> = {
  'fs:': (directory) => mailStore(fs(directory)),
  'fs: in packs': (directory) => mailStore(fs(directory, { layout: 'packed' })),
  'maildir:': (directory) => maildir(directory, { create: 'any', hostname: 'mx.example.com' }),
}

describe.concurrent.each(sample(Object.entries(STORES), 2, 4))('watch %s', (name, open) => {
  test('prints each new message once, also one that is committed after a younger one', PATIENCE, async () => {
    const cwd = temporaryDirectory()
    const store = open(join(cwd, 'mail'))
    const old = await save(store)
    const watching = new Postern(['watch', '--store', `${name.split(' ')[0]}./mail`], { cwd })
    const first = await untilShown(store, watching)
    const young = await save(store)
    await watching.says(new RegExp(young))
    // Both ids are older than those that were shown; the second one is of a message that took three minutes.
    const late = await save(store, { at: Date.now() - 30_000 })
    await watching.says(new RegExp(late))
    const later = await save(store, { at: Date.now() - 180_000, from: 'slow@example.org' })
    await watching.says(new RegExp(`${later}.*<slow@example\\.org>`))
    expect(await watching.end('SIGTERM')).toBe(0)
    const shown = idsIn(watching.stdout)
    expect(new Set(shown).size).toBe(shown.length)
    expect(shown).not.toContain(old)
    // The first ones may have come before the program watched.
    expect(shown.toSorted()).toEqual([...first, young, late, later].filter((id) => shown.includes(id)).toSorted())
    expect(shown).toEqual(expect.arrayContaining([young, late, later]))
    expect(watching.stderr).toBe('')
  })
})

describe.concurrent('watch', () => {
  test.each(sample(RUNTIME_NAMES, 1, 1))(
    'prints JSON lines of messages that match, and ends with 0 after SIGINT, on %s',
    PATIENCE,
    async (runtime) => {
      const cwd = temporaryDirectory()
      const store = mailStore(fs(join(cwd, 'mail')))
      const watching = new Postern(['watch', '--json', '--to', '@Example.COM'], { cwd, command: RUNTIMES[runtime] })
      await untilShown(store, watching)
      const other = await save(store, { to: ['b@example.net'] })
      const wanted = await save(store, { to: ['x@example.net', 'B@example.com'] })
      await watching.says(new RegExp(wanted))
      expect(await watching.end('SIGINT')).toBe(0)
      const lines = watching.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { record: { id: string } })
      expect(lines.at(-1)?.record.id).toBe(wanted)
      expect(lines.map(({ record }) => record.id)).not.toContain(other)
    },
  )

  test(
    'runs the command for one message at a time, with the message as input and facts as variables',
    PATIENCE,
    async () => {
      const cwd = temporaryDirectory()
      const store = mailStore(fs(join(cwd, 'mail')))
      const command =
        'echo "begin $MAIL_ID"; echo "from=$MAIL_FROM to=$MAIL_TO count=$MAIL_TO_COUNT size=$MAIL_SIZE"; cat | tail -n 1; echo "end $MAIL_ID"; test "$MAIL_FROM" != bad@example.org'
      const watching = new Postern(['watch', '--exec', command], { cwd })
      await untilShown(store, watching)
      // What a stranger chose is not run by the shell.
      const from = '"$(touch owned);`touch owned`"@example.org'
      const [one, two] = await Promise.all([
        save(store, { from, to: ['b@example.com', 'c@example.com'], text: 'Subject: x\r\n\r\nthe last line\r\n' }),
        save(store, { from: 'bad@example.org' }),
      ])
      await watching.says(new RegExp(`end ${one}`))
      await watching.says(new RegExp(`${two}: the command ended with exit code 1`))
      expect(await watching.end('SIGTERM')).toBe(0)
      const out = watching.stdout
      expect(out).toContain(`begin ${one}\nfrom=${from} to=b@example.com\nc@example.com count=2 size=`)
      expect(out).toContain(`the last line\r\nend ${one}`)
      const marks = [...out.matchAll(/^(begin|end) (\w+)/gm)].map(([, mark, id]) => [mark, id])
      for (let at = 0; at < marks.length; at += 2) expect(marks[at + 1]).toEqual(['end', marks[at]?.[1]])
      expect((await postern(['list', '--json'], { cwd })).code).toBe(0)
      expect(existsSync(join(cwd, 'owned'))).toBe(false)
    },
  )

  test('ends a command that takes too long, and goes on', PATIENCE, async () => {
    const cwd = temporaryDirectory()
    const store = mailStore(fs(join(cwd, 'mail')))
    const watching = new Postern(
      [
        'watch',
        '--json',
        '--exec-timeout',
        '300ms',
        '--exec',
        'if [ "$MAIL_FROM" = slow@example.org ]; then exec sleep 600; fi',
      ],
      { cwd },
    )
    await untilShown(store, watching)
    const slow = await save(store, { from: 'slow@example.org' })
    await watching.says(new RegExp(`${slow}: the command took longer than --exec-timeout, and was ended`))
    const next = await save(store)
    await watching.says(new RegExp(`"id":"${next}".*"exec":\\{"exitCode":0`))
    expect(watching.stdout).toMatch(
      new RegExp(`"id":"${slow}".*"exec":\\{"exitCode":null,"signal":"SIGTERM","isLate":true\\}`),
    )
    expect(await watching.end('SIGTERM')).toBe(0)
  })

  test.each(sample(RUNTIME_NAMES, 1, 2))(
    'takes the exit code of a command that does not read a long message, on %s',
    PATIENCE,
    async (runtime) => {
      const cwd = temporaryDirectory()
      const store = mailStore(fs(join(cwd, 'mail')))
      const watching = new Postern(['watch', '--json', '--exec', 'exec 0<&-; sleep 0.2; exit 3'], {
        cwd,
        command: RUNTIMES[runtime],
      })
      await untilShown(store, watching)
      const long = await save(store, { text: 'a line of the message\r\n'.repeat(200_000) })
      await watching.says(new RegExp(`"id":"${long}".*"exec":\\{"exitCode":3,"signal":null,"isLate":false\\}`))
      expect(watching.stderr).toContain(`${long}: the command ended with exit code 3`)
      expect(watching.stderr).not.toContain('did not run')
      expect(await watching.end('SIGTERM')).toBe(0)
    },
  )

  test.each(sample(RUNTIME_NAMES, 1, 3))('ends what a late command started, on %s', PATIENCE, async (runtime) => {
    const cwd = temporaryDirectory()
    const store = mailStore(fs(join(cwd, 'mail')))
    const child = '(trap "echo child ended; exit" TERM; echo child begun; while :; do sleep 0.1; done)'
    const watching = new Postern(['watch', '--exec-timeout', '2s', '--exec', `${child} & wait`], {
      cwd,
      command: RUNTIMES[runtime],
    })
    await untilShown(store, watching)
    await watching.says(/child begun/)
    await watching.says(/child ended/)
    expect(await watching.end('SIGTERM')).toBe(0)
  })

  test('waits for the command that runs when SIGTERM comes', PATIENCE, async () => {
    const cwd = temporaryDirectory()
    const store = mailStore(fs(join(cwd, 'mail')))
    const watching = new Postern(['watch', '--exec', 'echo begun; sleep 1; echo done'], { cwd })
    await untilShown(store, watching)
    await watching.says(/begun/)
    expect(await watching.end('SIGTERM')).toBe(0)
    expect(watching.stdout.match(/begun/g)?.length).toBe(watching.stdout.match(/done/g)?.length)
  })

  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [['--exec', ' '], /^postern: --exec: "" is not a command\n$/],
    [['--exec-timeout', 'soon'], /^postern: --exec-timeout: "soon" is not a time such as 5m, from 1ms to 24d\n$/],
    [['--to', 'nobody'], /^postern: --to: "nobody" is not an address, or @ and a domain\n$/],
    [['--to', '@'], /^postern: --to: "@" is not an address, or @ and a domain\n$/],
    [['--to', 'b@example.com@'], /^postern: --to: "b@example.com@" is not an address, or @ and a domain\n$/],
    [['--from', 'nobody'], /^postern: --from: "nobody" is not an address, @ and a domain, or <> for bounces\n$/],
  ]
  test.each(sample(refused, 1))('refuses %s', async (args, line) => {
    const { stderr, code } = await postern(['watch', ...args])
    expect(stderr).toMatch(line)
    expect(code).toBe(2)
  })
})

describe.concurrent('list', () => {
  test('prints only messages that match', PATIENCE, async () => {
    const cwd = temporaryDirectory()
    const store = mailStore(fs(join(cwd, 'mail')))
    const now = Date.now()
    const ids = [
      await save(store, { at: now - 3 * 3_600_000, from: 'ann@example.org' }),
      await save(store, { at: now - 2 * 3_600_000, from: '' }),
      await save(store, { at: now - 30 * 60_000, from: 'Ann@Example.org', to: ['x@example.net'] }),
      await save(store, { at: now - 60_000, from: 'bob@example.org', to: ['y@example.com', 'x@example.net'] }),
    ]
    const found = async (...args: string[]): Promise<number[]> => {
      const { stdout } = await postern(['list', '--json', ...args], { cwd })
      const { records } = JSON.parse(stdout) as { records: { id: string }[] }
      return records.map(({ id }) => ids.indexOf(id))
    }
    expect(await found('--from', 'ann@example.org')).toEqual([2, 0])
    expect(await found('--from', '<>')).toEqual([1])
    expect(await found('--from', '@example.org', '--to', '<x@example.net>')).toEqual([3, 2])
    expect(await found('--since', '1h')).toEqual([3, 2])
    expect(await found('--since', new Date(now - 150 * 60_000).toISOString())).toEqual([3, 2, 1])
    expect(await found('--since', '2h', '--to', '@example.com')).toEqual([3])
    expect((await postern(['list', '--to', 'z@example.net'], { cwd })).stderr).toBe('No such mail in fs:./mail.\n')
    // The rest of a list with a filter begins behind the last message that was shown.
    const { stdout } = await postern(['list', '--json', '--limit', '1', '--from', 'ann@example.org'], { cwd })
    const { cursor } = JSON.parse(stdout) as { cursor: string }
    expect(await found('--from', 'ann@example.org', '--cursor', cursor)).toEqual([0])
  })

  const wrongTimes = ['yesterday', '2026-02-30', '2026-11-30T25:00', '17', '-1h', '']
  test.each(sample(wrongTimes, 1))('refuses --since %j', async (since) => {
    const { stderr, code } = await postern(['list', `--since=${since}`])
    expect(stderr).toBe(
      `postern: --since: ${JSON.stringify(since)} is neither a time such as 2026-11-30 or 2026-11-30T10:00Z, nor a time ago such as 2h or 30d\n`,
    )
    expect(code).toBe(2)
  })

  test('follows: the newest messages, oldest first, and then each new one once', PATIENCE, async () => {
    const cwd = temporaryDirectory()
    const store = mailStore(fs(join(cwd, 'mail')))
    const now = Date.now()
    const ids: string[] = []
    for (let minute = 5; minute > 0; minute--) ids.push(await save(store, { at: now - minute * 60_000 }))
    const following = new Postern(['list', '--follow', '--limit', '3'], { cwd })
    await following.says(new RegExp(ids.at(-1) as string))
    const late = await save(store, { at: now - 90_000 })
    await following.says(new RegExp(late))
    const young = await save(store)
    await following.says(new RegExp(young))
    expect(await following.end('SIGTERM')).toBe(0)
    expect(following.stdout).toMatch(/^ID +RECEIVED +SIZE +FROM +TO +SUBJECT\n/)
    expect(idsIn(following.stdout)).toEqual([...ids.slice(-3), late, young])
    const refused = await postern(['list', '--follow', '--bounced'], { cwd })
    expect([refused.stderr, refused.code]).toEqual(['postern: --follow: cannot be used with --bounced\n', 2])
  })
})

testWith([TERMINAL], '`watch` says on a terminal that it waits, and then shows what comes', async () => {
  const cwd = temporaryDirectory()
  const store = mailStore(fs(join(cwd, 'mail')))
  await save(store)
  const command = `'${process.execPath}' '${MAIN}' watch`
  await using watching = await Daemon.start(['script', '-qec', command, '/dev/null'], /Ctrl-C\.\r\n/, {
    cwd,
    isGroup: true,
  })
  const id = await save(store)
  await watching.says(new RegExp(id))
  expect(watching.stdout).toMatch(/^Waiting for new mail in fs:\.\/mail\. Stop with Ctrl-C\.\r\n/)
  expect(idsIn(watching.stdout)).toEqual([id])
})
