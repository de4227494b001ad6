import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { LongestFirst } from './longest-first.ts'

// What one process of Node compiled, the next need not: the tests start hundreds of them.
process.env['NODE_COMPILE_CACHE'] ??= resolve(import.meta.dirname, '.cache/compiled')

// What this machine can do is asked for once in a run (kit/abilities.ts), and the packages are packed once (installed/project.ts).
for (const name of ['abilities', 'tarballs'])
  rmSync(resolve(import.meta.dirname, '.cache', name), { recursive: true, force: true })

// Every process of this run takes its chance from it: see kit/sample.ts.
process.env['SEED'] ??= String(Math.floor(Math.random() * 2 ** 31))
console.log(`SEED=${process.env['SEED']}`)

/** They start no process and keep nothing behind. So one thread of the runner takes many of them, which saves its start. */
const SHARED = ['packages/{engine,intake}/test/**/*.test.ts', 'test/conformance/**/*.test.ts']
const ALL = ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts']

const config: ViteUserConfig = defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    // What hangs ends; what is slow, as all of it is on a busy machine, does not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Real servers, real sockets and child processes wait for one another: three files kept two cores busy for three quarters of the time.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: ALL, exclude: [...SHARED, '**/node_modules/**'] } },
      { extends: true, test: { name: 'together', include: SHARED, isolate: false } },
    ],
    reporters: ['default', ['json', { outputFile: 'test/.cache/results.json' }]],
  },
})

export default config
