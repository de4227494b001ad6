import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Real servers, real sockets and child processes: a file has the machine's attention to itself.
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'test/.cache/results.json' }]],
  },
})

export default config
