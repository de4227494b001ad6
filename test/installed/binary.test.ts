/** `pnpm binary` makes one file that needs nothing else: no Node, no packages, no clone. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { hashPassword } from '@postern/intake/accounts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { mustRun, runTool } from '../kit/tool.ts'
import { makeBinary } from '../release/binary.ts'
import { LONG_MS } from './project.ts'
import { kept, sendOne, start } from './running.ts'
import { ROOT } from './workspace.ts'

const scratch = temporaryDirectory()
const binary = join(scratch, 'postern')
/** It finds no runtime in the path. */
const env = { PATH: '/nowhere' }
const SERVE = ['serve', '--listen', 'smtp://127.0.0.1:0']
const PORT = /smtp:\/\/127\.0\.0\.1:(\d+)/

beforeAll(() => makeBinary(ROOT, binary), LONG_MS)

function folder(name: string): string {
  const path = join(scratch, name)
  mkdirSync(path)
  return path
}

describe('the binary', () => {
  test.each([
    ['postern.config.ts', `const domains: string[] = ['example.com']\nexport default { domains }\n`],
    ['postern.config.js', `export default { domains: ['example.com'] }\n`],
  ])('takes a message and lists it, with the policy of %s', { timeout: LONG_MS }, async (name, config) => {
    const cwd = folder(name)
    writeFileSync(join(cwd, name), config)
    await using server = await start([binary, ...SERVE], { cwd, env }, PORT)
    const text = await sendOne(server.port, { address: 'd@elsewhere.example', code: 550 })
    expect(await kept(join(cwd, 'mail'))).toBe(text)
    const { stdout } = await mustRun('/bin/sh', ['-c', server.listCommand], { cwd, env })
    expect(stdout.toString()).toMatch(/<a@b\.example> +<c@example\.com>/)
  })

  test('says that it finds no packages if a config file imports one', async () => {
    const cwd = folder('imports')
    writeFileSync(join(cwd, 'postern.config.js'), `import 'no-such-package'\nexport default {}\n`)
    const { code, stderr } = await runTool(binary, ['serve'], { cwd, env })
    expect(stderr).toMatch(
      /^postern: postern\.config\.js: Cannot find package 'no-such-package' .*; this program is one file, which finds no packages: leave the import out, or export a function, .*\n$/,
    )
    expect(code).toBe(2)
  })

  test('serves with two workers, and checks passwords in its threads', { timeout: LONG_MS }, async () => {
    const cwd = folder('threads')
    const users = [`alice:${await hashPassword('correct horse')}`]
    writeFileSync(
      join(cwd, 'postern.config.js'),
      `export default ${JSON.stringify({ users, authWithoutTls: true, workers: 2 })}`,
    )
    await using server = await start([binary, ...SERVE], { cwd, env }, PORT)
    const client = await SocketClient.ready(server.port)
    const login = (password: string): string => `AUTH PLAIN ${Buffer.from(`\0alice\0${password}`).toString('base64')}`
    await client.command(login('wrong'), 535)
    await client.command(login('correct horse'), 235)
    await client.quit()
    const text = await sendOne(server.port)
    expect(await kept(join(cwd, 'mail'))).toBe(text)
  })

  test('does not read .env or bunfig.toml of the working directory', { timeout: LONG_MS }, async () => {
    const cwd = folder('hostile')
    writeFileSync(join(cwd, '.env'), 'POSTERN_DOMAINS=example.org\n')
    writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./preload.js"]\n')
    writeFileSync(join(cwd, 'preload.js'), `console.log('preloaded'); process.exit(3)\n`)
    await using server = await start([binary, ...SERVE], { cwd, env }, PORT)
    const text = await sendOne(server.port)
    expect(await kept(join(cwd, 'mail'))).toBe(text)
  })
})
