/** Checks the program's exit codes, and what it does if its output can't be written, on each runtime. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { BASH, FULL } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { fill, sampleId } from './mail.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { MAIN, postern, run, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const TIMEOUT_MS = 120_000
const ID = sampleId(0)
const COMMANDS = [
  ['--help'],
  ['help', 'serve'],
  ['--version'],
  ['completion', 'bash'],
  ['list', '--limit', '100'],
  ['list', '--json'],
  ['show', ID],
  ['show', '--raw', ID],
  ['export', '--format', 'mbox'],
  ['export', '--format', 'jsonl'],
]
/** How many of them a run looks at in each case, without THOROUGH=1. */
const LOOKED_AT = 2

let cwd: string

beforeAll(async () => {
  cwd = temporaryDirectory()
  // More than a pipe holds.
  const large = { bytes: `Subject: Big\r\n\r\n${'x'.repeat(998)}\r\n`.padEnd(1_000_000, 'y\r\n') }
  await fill(join(cwd, 'mail'), [
    large,
    ...Array.from({ length: 20 }, () => ({ bytes: 'Subject: Small\r\n\r\nHi.\r\n' })),
  ])
})

/** Makes each choice of commands another one. */
let choices = 0

describe.each(sample(RUNTIME_NAMES, 1))('on %s', (runtime) => {
  /** Runs some of the commands in a script, and expects the same stderr and exit code of each. */
  async function expectUnder(script: string, stderr: RegExp, code: number): Promise<void> {
    await Promise.all(
      sample(COMMANDS, LOOKED_AT, ++choices).map(async (args) => {
        const words = [...RUNTIMES[runtime], MAIN, ...args].map((word) => `'${word}'`).join(' ')
        const result = await run('bash', ['-c', script.replace('POSTERN', words)], { cwd })
        expect([args, result.stderr, result.stdout]).toEqual([args, expect.stringMatching(stderr), `${code}\n`])
      }),
    )
  }

  testWith(
    [BASH],
    'a reader that goes away ends each command quietly',
    async () => {
      await expectUnder('POSTERN | true; echo "${PIPESTATUS[0]}"', /^$/, 0)
      await expectUnder('POSTERN | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"', /^$/, 0)
    },
    { timeout: TIMEOUT_MS },
  )

  testWith(
    [BASH, FULL],
    'a full disk is one line and exit code 1',
    async () => {
      const line = /^postern: standard output: no space is left on the device\n$/
      await expectUnder('POSTERN >/dev/full; echo "$?"', line, 1)
      await expectUnder('POSTERN >/dev/full 2>/dev/full; echo "$?"', /^$/, 1)
    },
    { timeout: TIMEOUT_MS },
  )
})

describe('exit codes', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/configuration.md'), 'utf8')
  const told = [...(/^## Exit codes\n([\s\S]*?)^## /m.exec(page)?.[1] ?? '').matchAll(/^\| (\d+) \|/gm)].map((row) =>
    Number(row[1]),
  )

  test('the table of docs/configuration.md has those that are tested here', () => {
    expect(told).toEqual([0, 1, 2, 130, 143])
  })

  const rows: readonly (readonly [number, readonly string[]])[] = [
    [0, ['--version']],
    [0, ['list']],
    [1, ['show', sampleId(500)]],
    [1, ['delete', sampleId(500)]],
    [1, ['export', '--format', 'mbox', sampleId(500)]],
    [2, ['show', 'x']],
    [2, ['delete', sampleId(500), 'x']],
    [2, ['list', '--nothing']],
    [2, ['nothing']],
    [2, ['help', 'nothing']],
    [2, ['serve', '--max-recipients', '0']],
    [2, ['serve', '--config', 'nothing.ts']],
    [2, ['serve', '--tls-key', 'nothing.pem', '--tls-cert', 'nothing.pem']],
    [2, ['list', '--store', 'fs:nothing']],
  ]
  const some = [0, 1, 2].flatMap((code) =>
    sample(
      rows.filter((row) => row[0] === code),
      code === 2 ? 3 : 1,
      code,
    ),
  )
  test.concurrent.each(some)('%i for %j', async (code, args) => {
    expect((await postern(args, { cwd })).code).toBe(code)
  })

  test.concurrent(
    '0 after the first signal, and 128 plus its number after the second',
    { timeout: TIMEOUT_MS },
    async () => {
      for (const [second, code] of [
        [undefined, 0],
        ['SIGINT', 130],
        ['SIGTERM', 143],
      ] as const) {
        const running = await serve(['--grace-ms', '1h'])
        const client = await SocketClient.ready(running.ports[0] ?? 0)
        if (second !== undefined)
          for (const line of ['MAIL FROM:<>', 'RCPT TO:<b@example.com>', 'DATA']) await client.command(line)
        running.signal('SIGTERM')
        await running.says(/Stopping/)
        if (second !== undefined) running.signal(second)
        expect(await running.ended).toBe(code)
      }
    },
  )

  test.concurrent('1 after an uncaught error of a hook', async () => {
    const own = temporaryDirectory()
    writeFileSync(
      join(own, 'postern.config.mjs'),
      `export default { handlers: { connect() { setTimeout(() => { throw new Error('x') }) } } }`,
    )
    const running = await serve([], { cwd: own })
    await SocketClient.connect(running.ports[0] ?? 0)
    expect(await running.ended).toBe(1)
  })
})
