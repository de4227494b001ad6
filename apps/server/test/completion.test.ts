/** `postern completion` and `postern help`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { BASH, FISH, ZSH } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { OPTION_NAMES, optionsOf, OPTIONS } from '../src/config/options.ts'
import type { Option } from '../src/config/options/row.ts'
import { flagOf } from '../src/config/settings.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, run } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'

const COMMANDS = ['serve', 'front', 'list', 'show', 'export', 'delete', 'sweep', 'hash', 'queue', 'completion', 'help']

describe('completion bash', () => {
  let cwd: string

  beforeAll(async () => {
    cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'postern.sh'), (await postern(['completion', 'bash'])).stdout)
    writeFileSync(join(cwd, 'a key.pem'), '')
  })

  /** Completes the last word, as bash does. */
  async function completed(...words: readonly string[]): Promise<string[]> {
    const script = `set -u; . ./postern.sh; . ./postern.sh
      COMP_WORDS=(postern "$@"); COMP_CWORD=$#; _postern; printf '%s\\n' \${COMPREPLY[@]+"\${COMPREPLY[@]}"}`
    const { stdout, stderr } = await run('bash', ['-c', script, 'bash', ...words], { cwd })
    expect(stderr).toBe('')
    return stdout.split('\n').filter((word) => word !== '')
  }

  testWith([BASH], 'completes commands', async () => {
    expect(await completed('')).toEqual(expect.arrayContaining(COMMANDS))
    expect(await completed('se')).toEqual(['serve', 'send', 'sendmail'])
    expect(await completed('help', 'ha')).toEqual(['hash'])
    expect(await completed('completion', '')).toEqual(['bash', 'zsh', 'fish', '--help'])
  })

  testWith([BASH], 'completes every flag of serve', async () => {
    const flags = optionsOf('serve')
      .filter((name) => (OPTIONS[name] as Option).fileOnly !== true)
      .map(flagOf)
    expect((await completed('serve', '--')).toSorted()).toEqual([...flags, '--config', '--help'].toSorted())
    expect(await completed('serve', '--self-signed', '--log-l')).toEqual(['--log-level'])
  })

  testWith([BASH], 'completes words and files as values, and nothing where neither is allowed', async () => {
    expect(await completed('serve', '--log-format', '')).toEqual(['auto', 'pretty', 'json'])
    expect(await completed('serve', '--log-format', '=', 'pr')).toEqual(['pretty'])
    expect(await completed('queue', 're')).toEqual(['retry', 'release'])
    expect(await completed('queue', '--state', '')).toEqual(['waiting', 'due', 'held', 'finished'])
    expect(await completed('export', '--format', 'm')).toEqual(['mbox', 'maildir'])
    expect(await completed('serve', '--tls-key', 'a')).toEqual(['a key.pem'])
    expect(await completed('serve', '--banner', '')).toEqual([])
  })

  testWith([BASH], 'takes the names of files as they are', async () => {
    const names = ['*.x', '$(touch owned).x', "it's.x", 'quote".x', ' blank .x', 'back\\slash.x']
    const folder = temporaryDirectory()
    for (const name of names) writeFileSync(join(folder, name), '')
    const found = await completed('serve', '--config', `${folder}/`)
    expect(found.toSorted()).toEqual(names.map((name) => join(folder, name)).toSorted())
  })

  testWith([BASH], 'runs nothing that is typed', async () => {
    expect(await completed('serve', '$(touch typed)', '--log-level', '`touch typed`')).toEqual([])
    expect((await run('ls', [], { cwd })).stdout).not.toContain('typed')
  })
})

for (const [shell, need] of [
  ['zsh', ZSH],
  ['fish', FISH],
] as const) {
  testWith([need], `${shell} reads its script`, async () => {
    const { stdout } = await postern(['completion', shell])
    const cwd = temporaryDirectory()
    writeFileSync(join(cwd, 'script'), stdout)
    expect(await run(shell, ['-n', 'script'], { cwd })).toMatchObject({ code: 0, stderr: '' })
  })
}

test.each(['zsh', 'fish'])('the script for %s has every flag', async (shell) => {
  const { stdout } = await postern(['completion', shell])
  for (const name of OPTION_NAMES) {
    const { fileOnly, commands }: Option = OPTIONS[name]
    if (fileOnly === true || commands?.length === 0) continue
    expect(stdout).toContain(shell === 'fish' ? ` -l ${flagOf(name).slice(2)} ` : ` ${flagOf(name)} `)
  }
})

test('another shell is refused', async () => {
  const { stdout, stderr, code } = await postern(['completion', 'tcsh'])
  expect(stderr).toMatch(/^postern: .*'tcsh' is invalid.* Allowed choices are bash, zsh, fish\..*\n$/)
  expect([stdout, code]).toEqual(['', 2])
})

test('help COMMAND prints what COMMAND --help does', async () => {
  for (const command of sample(COMMANDS, 1)) {
    const { stdout, stderr, code } = await postern(['help', command])
    expect([stderr, code]).toEqual(['', 0])
    expect(stdout).toBe((await postern([command, '--help'])).stdout)
  }
  expect((await postern(['help'])).stdout).toBe((await postern(['--help'])).stdout)
})

test('help of an unknown command is one line', async () => {
  const { stdout, stderr, code } = await postern(['help', 'srve'])
  expect([stdout, stderr, code]).toEqual(['', 'postern: help: there is no command srve; did you mean serve?\n', 2])
})
