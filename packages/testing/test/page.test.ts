/** Runs the tests of docs/testing-mail.md, each with its runner, and once more with a program that sends no mail. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { sample } from '../../../test/kit/sample.ts'
import { Scratch } from '../../../test/kit/scratch.ts'
import { runTool } from '../../../test/kit/tool.ts'

const own = resolve(import.meta.dirname, '..')
const root = resolve(own, '../..')
const page = await readFile(join(root, 'docs/testing-mail.md'), 'utf8')
const RUN_TIMEOUT_MS = 110_000

interface Runner {
  /** What every test for this runner has, and no other. */
  readonly sign: RegExp
  /** As the page says it. */
  readonly command: string
  /**
   * The same for a project that is linked to this workspace. Deno checks the types of its sources, as it does not those of an
   * installed package, and its TypeScript is another version.
   */
  readonly run: readonly [string, ...string[]]
}

const RUNNERS: readonly Runner[] = [
  { sign: /from 'vitest'/, command: 'npx vitest run', run: ['vitest', 'run'] },
  { sign: /from 'node:test'/, command: 'node --test', run: ['node', '--test'] },
  { sign: /from 'bun:test'/, command: 'bun test', run: ['bun', 'test'] },
  {
    sign: /Deno\.test\(/,
    command: 'deno test --allow-all',
    run: [COMMANDS.deno[0], 'test', '--allow-all', '--no-check'],
  },
]

/** A file of the page: its first line is its name. */
interface Block {
  readonly name: string
  readonly source: string
}

const blocks = [...page.matchAll(/^```js\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)].map(([, name = '', source = '']): Block => ({
  name,
  source,
}))
const program = blocks.find(({ name }) => name === 'shop.js')?.source ?? ''
const tests = blocks.filter(({ name }) => name === 'shop.test.js')

const PROJECT = {
  type: 'module',
  devDependencies: { '@postern/testing': '*', nodemailer: '*', vitest: '*' },
}
const SILENT = 'export async function welcome() {}\n'

/** Runs a test of the page in a project of its own, beside this program. */
async function run(test: string, shop: string): Promise<{ code: number; output: string }> {
  await using scratch = await Scratch.make()
  await writeFile(scratch.join('package.json'), JSON.stringify(PROJECT))
  await writeFile(scratch.join('shop.js'), shop)
  await writeFile(scratch.join('shop.test.js'), test)
  for (const name of Object.keys(PROJECT.devDependencies)) {
    const link = scratch.join('node_modules', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(name === '@postern/testing' ? own : join(root, 'node_modules', name), link)
  }
  const [command, ...args] = runnerOf(test).run
  const { code, stderr, stdout } = await runTool(command, args, {
    cwd: scratch.path,
    env: { ...process.env, NO_COLOR: '1', VITEST: undefined, NODE_TEST_CONTEXT: undefined },
    timeoutMs: RUN_TIMEOUT_MS,
  })
  return { code, output: `${stdout.toString()}\n${stderr}` }
}

function runnerOf(test: string): Runner {
  const found = RUNNERS.filter(({ sign }) => sign.test(test))
  if (found.length !== 1) throw new Error(`a test of the page is for ${found.length} runners:\n${test}`)
  return found[0] as Runner
}

test('the page has a test for each runner, says how to run it, and has no code that is not run', () => {
  expect(new Set(tests.map(({ source }) => runnerOf(source)))).toEqual(new Set(RUNNERS))
  for (const { command } of RUNNERS) expect(page).toContain(`Run it with \`${command}\``)
  expect(page.match(/^```(?!sh$|$)\w*/gm)).toHaveLength(blocks.length)
  expect(tests).toHaveLength(blocks.length - 1)
})

test.each(
  sample(
    tests.map(({ source }, index) => [index + 1, runnerOf(source).command, source] as const),
    1,
  ),
)('test %i of the page passes with `%s`', async (_index, _command, source) => {
  const { code, output } = await run(source, program)
  expect(code, output).toBe(0)
})

test.each(
  sample(
    RUNNERS.map(({ command, sign }) => [command, sign] as const),
    1,
  ),
)('the first test of the page for `%s` fails if the program sends no mail', async (_command, sign) => {
  const source = tests.find((block) => sign.test(block.source))?.source ?? ''
  const { code, output } = await run(
    source.replace('await inbox.waitFor({', 'await inbox.waitFor({ timeoutMs: 100,'),
    SILENT,
  )
  expect(code, output).not.toBe(0)
  expect(output).toContain(`a message with to 'ann@example.com': none came within 100 ms`)
  expect(output).toContain('no message came')
})
