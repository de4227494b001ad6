/** Tests the checks themselves: they pass on this tree, and they can fail. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../kit/directory.ts'
import { findImportBreaches } from './imports.ts'
import {
  MAX_GZIP_BYTES,
  measureClient,
  measureEngine,
  measureRelayWorker,
  measureServer,
  measureWorker,
} from './size.ts'

const root = resolve(import.meta.dirname, '../..')

/** Returns the faults that the check finds in a tree of these files. */
function breachesOf(files: Readonly<Record<string, string>>): string[] {
  const scratch = temporaryDirectory()
  for (const [file, source] of Object.entries(files)) {
    const path = join(scratch, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, source)
  }
  return findImportBreaches(scratch)
}

test('this tree keeps the import rules', () => {
  expect(findImportBreaches(root)).toEqual([])
})

test.each([
  ['packages/engine/src/protocol/a.ts', `import net from 'node:net'`],
  ['packages/engine/src/protocol/a.ts', `import { x } from '../server/server.ts'`],
  ['packages/engine/src/protocol/a.ts', `export const now = Date.now()`],
  ['packages/engine/src/protocol/a.ts', `export const now = new Date()`],
  ['packages/engine/src/protocol/a.ts', `export const now = new Date`],
  ['packages/engine/src/protocol/a.ts', `export const now = Date()`],
  ['packages/engine/src/server/a.ts', `import { x } from '../../../runtime/src/node/index.ts'`],
  ['packages/runtime/src/memory/a.ts', `import 'node:net'`],
  ['packages/runtime/src/node/a.ts', `export { y } from '../memory/index.ts'`],
  ['packages/storage/src/mail/a.ts', `import { listen } from '@postern/runtime/node'`],
  ['packages/storage/src/mail/a.ts', `const s = await import('@postern/server/config')`],
  ['apps/server/src/a.ts', `import { x } from '../../../packages/engine/src/index.ts'`],
  ['packages/runtime/src/web/a.ts', `import { z } from '../node/index.ts'`],
  ['packages/runtime/src/web/a.ts', `import { z } from '../sockets/listener-core.ts'`],
  ['packages/runtime/src/common/a.ts', `import type { z } from '../sockets/inbound.ts'`],
  ['packages/nowhere/src/a.ts', `export {}`],
])('a breach in %s is found in: %s', (file, source) => {
  expect(breachesOf({ [file]: source })).toHaveLength(1)
})

test.each([
  [
    'packages/engine/src/server/a.ts',
    `import { x } from '../protocol/reply.ts'\nimport type { D } from '../duplex.ts'`,
  ],
  ['packages/runtime/src/node/a.ts', `import net from 'node:net'\nimport { b } from './b.ts'`],
  ['packages/engine/src/protocol/a.ts', `export const at = (ms: number): Date => new Date(ms)`],
  ['apps/server/src/serve/a.ts', `import { x } from '../host/b.ts'\nimport { y } from '@postern/storage/fs'`],
])('allowed imports in %s pass', (file, source) => {
  expect(breachesOf({ [file]: source })).toEqual([])
})

test('a circle of files is found, through types too', () => {
  const files = {
    'packages/runtime/src/web/a.ts': `import { b } from './b.ts'`,
    'packages/runtime/src/web/b.ts': `export type { C } from './c.ts'`,
    'packages/runtime/src/web/c.ts': `import type { A } from './a.ts'`,
  }
  const [a, b, c] = Object.keys(files)
  expect(breachesOf(files)).toEqual([`circle of files: ${a} → ${b} → ${c} → ${a}`])
})

test('a circle of folders is found even if no two files import each other', () => {
  const breaches = breachesOf({
    'packages/runtime/src/web/a.ts': `import { c } from './inner/c.ts'`,
    'packages/runtime/src/web/b.ts': `export {}`,
    'packages/runtime/src/web/inner/c.ts': `import { b } from '../b.ts'`,
  })
  const [outer, inner] = ['packages/runtime/src/web', 'packages/runtime/src/web/inner']
  expect(breaches).toEqual([`circle of folders: ${outer} → ${inner} → ${outer}`])
})

test('the bundle of the engine has only the engine in it, and stays small', async () => {
  const { modules, bytes, gzipBytes } = await measureEngine(root)
  expect(modules.filter((module) => !module.includes('packages/engine/src/'))).toEqual([])
  expect(bytes).toBeGreaterThan(10_000)
  expect(gzipBytes).toBeLessThan(MAX_GZIP_BYTES.engine)
})

test('a program that only makes a server has no extension in its bundle that it does not add', async () => {
  const { modules, gzipBytes } = await measureServer(root)
  const folder = 'packages/engine/src/protocol/extensions/'
  expect(modules).toContain(`${folder}size.ts`)
  expect(gzipBytes).toBeLessThan(MAX_GZIP_BYTES.server)
  for (const name of ['dsn', 'require-tls', 'mt-priority', 'deliver-by', 'future-release']) {
    expect(modules).not.toContain(`${folder}${name}.ts`)
  }
})

test('the client has nothing of the server in its bundle, and stays small', async () => {
  const { modules, gzipBytes } = await measureClient(root)
  expect(modules).toContain('packages/engine/src/client/open.ts')
  expect(modules.filter((module) => /\/server\/|\/extensions\/|\/sasl\/mechanisms/.test(module))).toEqual([])
  expect(gzipBytes).toBeLessThan(MAX_GZIP_BYTES.client)
})

test('the Worker that only receives has nothing of the relay in its bundle, and stays small', async () => {
  const { modules, gzipBytes } = await measureWorker(root)
  expect(modules).toContain('packages/storage/src/r2/index.ts')
  expect(modules.filter((module) => /^packages\/(?:relay|worker\/src\/relay)\//.test(module))).toEqual([])
  expect(gzipBytes).toBeLessThan(MAX_GZIP_BYTES.worker)
})

test('the Worker with the relay stays small', async () => {
  const { modules, gzipBytes } = await measureRelayWorker(root)
  expect(modules).toContain('packages/worker/src/relay/owner.ts')
  expect(gzipBytes).toBeLessThan(MAX_GZIP_BYTES.relayWorker)
})
