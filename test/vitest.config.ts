import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { LongestFirst } from './longest-first.ts'

// What one process of Node compiled, the next need not: the tests start hundreds of them.
process.env['NODE_COMPILE_CACHE'] ??= resolve(import.meta.dirname, '.cache/compiled')

// What this machine can do is asked for once in a run (kit/abilities.ts), and the packages are packed and installed once
// (installed/project.ts).
for (const name of ['abilities', 'installed'])
  rmSync(resolve(import.meta.dirname, '.cache', name), { recursive: true, force: true })

// Every process of this run takes its chance from it: see kit/sample.ts.
process.env['SEED'] ??= String(Math.floor(Math.random() * 2 ** 31))
console.log(`SEED=${process.env['SEED']}`)

/** They keep processes for all their tests in variables of modules, or replace what Node has. Each has a thread of its own. */
const ALONE = ['packages/{runtime,testing}/test/**/*.test.ts', 'test/{check,installed,release}/**/*.test.ts']
const ALL = ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts']

const config: ViteUserConfig = defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    // What hangs ends; what is slow, as all of it is on a busy machine, does not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 100_000 } },
    // Real servers, real sockets and child processes wait for one another: five files kept two cores busy for 86 % of the time.
    maxWorkers: 7,
    setupFiles: [new URL('kit/cleanup.ts', import.meta.url).pathname],
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      {
        extends: true,
        test: { name: 'together', include: ALL, exclude: [...ALONE, '**/node_modules/**'], isolate: false },
      },
    ],
    reporters: ['default', ['json', { outputFile: 'test/.cache/results.json' }]],
  },
})

export default config
