/** The commands that the server prints at its start. The test runs them unchanged, in the shell that has started the server. */
import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect } from 'vitest'
import { CURL, SWAKS } from '../kit/abilities.ts'
import { Daemon } from '../kit/daemon.ts'
import { testWith } from '../kit/need.ts'
import { cleanEnvironment } from '../kit/postern.ts'
import { readAll } from './store.ts'
import { sample } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun } from '../kit/tool.ts'

const TIMEOUT_MS = 300_000
const ROOT = join(import.meta.dirname, '../..')
/** No runtime of the workspace is in the path of a user's shell. */
const PATH = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)

/** The commands of the README that start the server in a checkout. */
const STARTS = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/^npx --yes pnpm (?:[^#\n\\]|\\\n)+/gm)]
  .map(([command]) => command.trim())
  .filter((command) => /pnpm start$| serve$/.test(command))

if (STARTS.length !== 4) throw new Error(`the README starts the server by ${STARTS.join('; ')}`)

/** The first one is of Node. */
const [FIRST = '', ...OTHERS] = STARTS

for (const start of [FIRST, ...sample(OTHERS, 1)]) {
  const [, , , script, runtime = ''] = start.split(/\s+/)
  testWith(
    [CURL, SWAKS],
    `each command that the server prints works if it was started by pnpm ${script} ${runtime}`,
    async () => {
      await using scratch = await Scratch.make()
      const store = scratch.join('mail')
      const shell = { cwd: ROOT, env: { ...cleanEnvironment(), PATH }, timeoutMs: TIMEOUT_MS }
      // Any port, and a store outside of the checkout, in which somebody may work.
      const command = start
        .replace('--allow-net=127.0.0.1:2525', '--allow-net=127.0.0.1')
        .replace('--allow-read=.', `--allow-read=.,${scratch.path}`)
        .replace('--allow-write=mail', `--allow-write=${scratch.path}`)
      const options = `--listen smtp://127.0.0.1:0 --store fs:${store}`
      await using server = await Daemon.start(['sh', '-c', `${command} ${options}`], /Stop with Ctrl-C/, {
        ...shell,
        isGroup: true,
      })
      const printed = server.stdout.split('\n').filter((line) => /^ {2}.*\b(swaks|curl|list) /.test(line))
      expect(printed).toHaveLength(3)
      const [swaks = '', curl = '', list = ''] = printed
      for (const send of [swaks, curl]) await mustRun('sh', ['-c', send], shell)
      const kept = await readAll(store)
      expect(kept.map(({ record }) => record.forwardPaths[0]?.address)).toEqual(['you@example.com', 'you@example.com'])
      await server.says(/kept .*\n.*kept /)
      const listed = await mustRun('sh', ['-c', list], shell)
      expect(listed.stdout.toString().match(/<you@example\.com>/g)).toHaveLength(2)
      // The same runtime lists the mail.
      expect(list).toContain(`npx --yes pnpm ${runtime === '' ? 'postern' : `exec ${runtime}`} `)
    },
    TIMEOUT_MS,
  )
}
