import { expect, test } from 'vitest'
import { OPTION_NAMES, OPTIONS } from '../src/options.ts'
import { flagOf } from '../src/settings.ts'
import { postern } from './program.ts'

test.concurrent('without arguments it prints its help', async () => {
  const { code, stdout, stderr } = await postern([])
  expect(stdout).toMatch(/^Usage: postern /)
  expect(stdout).toMatch(/Examples:/)
  expect([code, stderr]).toEqual([0, ''])
})

test.concurrent('--version', async () => {
  expect((await postern(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test.concurrent('the help of serve has every option', async () => {
  const { stdout, code } = await postern(['serve', '--help'])
  for (const name of OPTION_NAMES.filter((name) => OPTIONS[name].fileOnly !== true))
    expect(stdout).toContain(`  ${flagOf(name)} `)
  expect(stdout).toMatch(/--max-message-bytes <size> .*\(default: 25MiB\)/)
  expect(stdout).toContain('Examples:')
  expect(code).toBe(0)
})

test.concurrent.each(['list', 'show', 'export', 'delete', 'hash'])('the help of %s has an example', async (command) => {
  const { stdout, code } = await postern([command, '--help'])
  expect(stdout).toMatch(/^Usage: postern /)
  expect(stdout).toMatch(new RegExp(`Examples?:\n.*postern ${command}`))
  expect(code).toBe(0)
})
