import { expect, test } from 'vitest'
import { OPTIONS, optionsOf } from '../src/config/options.ts'
import { flagOf } from '../src/config/settings.ts'
import { postern } from '../../../test/kit/postern.ts'

test.concurrent('without arguments postern prints its help', async () => {
  const { code, stdout, stderr } = await postern([])
  expect(stdout).toMatch(/^Usage: postern /)
  expect(stdout).toMatch(/Examples:/)
  expect([code, stderr]).toEqual([0, ''])
})

test.concurrent('--version prints the version', async () => {
  expect((await postern(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test.concurrent('the help of serve has every option', async () => {
  const { stdout, code } = await postern(['serve', '--help'])
  for (const name of optionsOf('serve').filter((name) => OPTIONS[name].fileOnly !== true))
    expect(stdout).toContain(`  ${flagOf(name)} `)
  expect(stdout).toMatch(/--max-message-bytes <size> .*\(default: 25MiB\)/)
  expect(stdout).toContain('Examples:')
  expect(code).toBe(0)
})

test.concurrent('the help of front has its options, and none of a server', async () => {
  const { stdout, code } = await postern(['front', '--help'])
  const offered = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1])
  const flags = optionsOf('front')
    .filter((name) => OPTIONS[name].fileOnly !== true)
    .map(flagOf)
  expect(offered.toSorted()).toEqual(['--config', ...flags].toSorted())
  expect(code).toBe(0)
})

test.concurrent.each(['front', 'list', 'show', 'export', 'delete', 'sweep', 'hash', 'queue'])(
  'the help of %s has an example',
  async (command) => {
    const { stdout, code } = await postern([command, '--help'])
    expect(stdout).toMatch(/^Usage: postern /)
    expect(stdout).toMatch(new RegExp(`Examples?:\n.*postern ${command}`))
    expect(code).toBe(0)
  },
)
