/** package.json is replaced for a pack, and what the user wrote is never lost. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { VERSION } from '../../apps/server/src/host/version.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { mustRun } from '../kit/tool.ts'
import { staleJsrFiles } from './jsr.ts'
import { publishedManifest, refuseSecondPack, replaceManifest, restore, restoreAfterKill } from './manifest.ts'
import { publishedPackages } from './packages.ts'

const root = resolve(import.meta.dirname, '../..')
const scratch = temporaryDirectory()

const WRITTEN = '{ "name": "@postern/x",\n\t"version": "1.2.3" }\n'
const PUBLISHED = { name: '@postern/x', version: '1.2.3', exports: './dist/index.js' }

/** Returns the folder of a package whose package.json is being packed, and how to read it. */
function packing(): { folder: string; path: string; text: () => string } {
  const folder = mkdtempSync(join(scratch, 'package-'))
  const path = join(folder, 'package.json')
  writeFileSync(path, WRITTEN)
  replaceManifest(folder, PUBLISHED)
  return { folder, path, text: () => readFileSync(path, 'utf8') }
}

describe('the package.json of a package that is packed', () => {
  test('is put back byte by byte, also by the next pack after one that was killed', () => {
    const { folder, text } = packing()
    expect(JSON.parse(text())).toEqual(PUBLISHED)
    restore(folder)
    expect(text()).toBe(WRITTEN)
    restore(folder)
    expect(text()).toBe(WRITTEN)
  })

  test('stays as it is if the user has put it back', () => {
    const { folder, path, text } = packing()
    writeFileSync(path, WRITTEN)
    restore(folder)
    expect(text()).toBe(WRITTEN)
    expect(existsSync(join(folder, '.package.json.packing'))).toBe(false)
  })

  test('stays as it is if the user has edited it, and both forms can be read', () => {
    const { folder, path, text } = packing()
    const edited = text().replace('1.2.3', '1.2.4')
    writeFileSync(path, edited)
    expect(() => restore(folder)).toThrow(/package\.json was edited while it was packed/)
    expect(text()).toBe(edited)
    expect(readFileSync(join(folder, '.package.json.packing'), 'utf8')).toContain(JSON.stringify(WRITTEN))
  })

  test('stays with the first of two packs', () => {
    const { folder, text } = packing()
    // The first pack is that of this process' parent; the second one is that of another.
    expect(() => refuseSecondPack(folder, process.pid)).toThrow(/is being packed by process \d+; wait for its end$/)
    expect(() => replaceManifest(folder, PUBLISHED, process.pid)).toThrow(/EEXIST/)
    restoreAfterKill(folder)
    expect(JSON.parse(text())).toEqual(PUBLISHED)
    refuseSecondPack(folder, process.ppid)
    restore(folder)
    expect(text()).toBe(WRITTEN)
    refuseSecondPack(folder, process.pid)
  })

  test('is put back if the process that packed has ended', () => {
    const { folder, text } = packing()
    restore(folder)
    const { pid } = spawnSync(process.execPath, ['--version'])
    replaceManifest(folder, PUBLISHED, pid)
    refuseSecondPack(folder)
    restoreAfterKill(folder)
    expect(text()).toBe(WRITTEN)
  })

  test('has what publishConfig says, and exact versions of the workspace', () => {
    const engine = { folder: 'packages/engine', manifest: { name: '@postern/engine', version: '3.0.0' } }
    const manifest = {
      name: '@postern/x',
      version: '1.2.3',
      exports: './src/index.ts',
      bin: './main.js',
      publishConfig: { access: 'public', exports: './dist/index.js' },
      scripts: { prepack: 'x' },
      dependencies: { '@postern/engine': 'workspace:*', jose: '6.0.0' },
      devDependencies: { ws: '1.0.0' },
    }
    expect(publishedManifest(manifest, [engine])).toEqual({
      name: '@postern/x',
      version: '1.2.3',
      exports: './dist/index.js',
      bin: './main.js',
      publishConfig: { access: 'public' },
      dependencies: { '@postern/engine': '3.0.0', jose: '6.0.0' },
    })
    expect(() => publishedManifest(manifest, [])).toThrow('@postern/engine is a dependency, but it is not published')
  })
})

describe('every published package', () => {
  const packages = publishedPackages(root)

  test('has the version of all, the scripts of a pack, a README and the license', () => {
    for (const { folder, manifest } of packages) {
      expect(manifest, folder).toMatchObject({
        version: VERSION,
        scripts: { prepack: 'node ../../test/release/prepack.ts', postpack: 'node ../../test/release/postpack.ts' },
        publishConfig: { access: 'public' },
      })
      expect(readFileSync(join(root, folder, 'README.md'), 'utf8')).toContain(`# ${manifest.name}\n`)
      expect(existsSync(join(root, folder, 'LICENSE')), folder).toBe(true)
    }
  })

  test('has the jsr.json that `node test/release/jsr.ts` writes', () => {
    expect(staleJsrFiles(root)).toEqual([])
  })

  test('passes `deno publish --dry-run`, without slow types', { timeout: 300_000 }, async () => {
    // Deno's check of the types takes as long as the rest of these tests together.
    const check = process.env['THOROUGH'] === '1' ? [] : ['--no-check']
    const { stderr } = await mustRun('deno', ['publish', '--dry-run', '--allow-dirty', ...check], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1' },
      timeoutMs: 300_000,
    })
    for (const { manifest } of packages) {
      expect(stderr).toContain(`Simulating publish of ${manifest.name}@${manifest.version}`)
    }
    expect(stderr).toContain('Dry run complete')
    expect(stderr.match(/^ +file:.*\/(test|node_modules|dist)\/.*$/gm)).toBeNull()
  })
})
