/** Signatures are the same on each runtime, wherever a message is cut, and need no memory for a large one. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Miniflare } from 'miniflare'
import { describe, expect, test } from 'vitest'
import { sample } from '../../../../test/kit/sample.ts'
import { COMMANDS } from '../../../../test/kit/commands.ts'
import { temporaryDirectory } from '../../../../test/kit/directory.ts'
import { mustRun } from '../../../../test/kit/tool.ts'
import { bundle, COMPATIBILITY_DATE } from '../../../runtime/test/workerd/serving.ts'
import { run, type Signed } from './job.ts'
import { jobOf } from './messages.ts'

describe('the runtimes', () => {
  const wanted = async (): Promise<readonly Signed[]> => run(await jobOf(65_536))

  test.for(['node', 'deno', 'bun'] as const)('%s makes the same signatures', async (runtime) => {
    const file = join(temporaryDirectory(), 'job.json')
    writeFileSync(file, JSON.stringify(await jobOf(100)))
    const [program, ...args] = COMMANDS[runtime]
    const { stdout } = await mustRun(program, [...args, resolve(import.meta.dirname, 'program.ts'), file])
    expect(JSON.parse(stdout.toString())).toEqual(await wanted())
  })

  test('workerd makes the same signatures', async () => {
    const contents = await bundle(resolve(import.meta.dirname, 'worker.ts'))
    const miniflare = new Miniflare({
      workers: [
        {
          config: {
            name: 'signer',
            compatibilityDate: COMPATIBILITY_DATE,
            compatibilityFlags: ['nodejs_compat'],
            manifest: {
              mainModule: 'worker.js',
              modulesRoot: '/',
              modules: { 'worker.js': { type: 'esm', contents } },
            },
          },
        },
      ],
    })
    try {
      const body = JSON.stringify(await jobOf(100))
      const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
      expect(await answer.json()).toEqual(await wanted())
    } finally {
      await miniflare.dispose()
    }
  })

  test.for(sample(['node', 'deno', 'bun'] as const, 1))(
    '%s needs no more memory for a large message, of lines or of one line',
    async (runtime) => {
      const [program, ...args] = COMMANDS[runtime]
      for (const line of ['a line of text  \r\n', 'x', '\n']) {
        const { stdout } = await mustRun(program, [
          ...args,
          resolve(import.meta.dirname, 'program.ts'),
          'memory',
          '80',
          line,
        ])
        expect(Number(stdout.toString())).toBeLessThan(40 * 1024 * 1024)
      }
    },
  )
})

test('the same signatures are made wherever the message is cut', async () => {
  const whole = await run(await jobOf(1_000_000))
  for (const chunk of [1, 2, 3, 64]) expect(await run(await jobOf(chunk))).toEqual(whole)
})
