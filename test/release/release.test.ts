/** `pnpm release` gives all packages one version, and refuses what must not be released. */
import { appendFileSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copyWorkspace } from '../installed/workspace.ts'
import { GIT } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { temporaryDirectory } from '../kit/directory.ts'
import { mustRun, runTool, type ToolResult } from '../kit/tool.ts'
import { staleJsrFiles } from './jsr.ts'
import { publishedPackages, readManifest } from './packages.ts'
import { inOrder, setVersion } from './release.ts'

const scratch = temporaryDirectory()

/** A clone of the workspace in which everything is committed. */
const clone = join(scratch, 'clone')
const git = (...args: readonly string[]): Promise<ToolResult> =>
  mustRun('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.example', ...args], { cwd: clone })
const commit = async (): Promise<void> => {
  await git('add', '--all')
  await git('commit', '--quiet', '--message', 'x')
}
const release = async (...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const { code, stdout, stderr } = await runTool(process.execPath, [join(clone, 'test/release/release.ts'), ...args])
  return { code, stdout: stdout.toString(), stderr }
}

testWith(
  [GIT],
  '`pnpm release` refuses a dirty tree, a bad version and a missing section, and a dry run changes nothing',
  async () => {
    copyWorkspace(clone)
    await git('init', '--quiet')
    writeFileSync(join(clone, '.gitignore'), readFileSync(join(import.meta.dirname, '../../.gitignore')))
    appendFileSync(join(clone, '.gitignore'), 'node_modules\n')
    await commit()
    const refused = { code: 2, stdout: '' }
    expect(await release()).toEqual({ ...refused, stderr: expect.stringMatching(/^a version is missing: .*\n$/) })
    expect(await release('7.8')).toEqual({ ...refused, stderr: expect.stringMatching(/^7\.8 is not a version .*\n$/) })
    const missing = 'CHANGELOG.md has no section "## 7.8.9"\n'
    expect(await release('7.8.9', '--dry-run')).toEqual({ ...refused, stderr: missing })
    appendFileSync(join(clone, 'CHANGELOG.md'), '\n## 7.8.9\n\n')
    const dirty = '1 files are not committed:  M CHANGELOG.md\n'
    expect(await release('7.8.9')).toEqual({ ...refused, stderr: dirty })
    await commit()
    expect(await release('7.8.9')).toEqual({ ...refused, stderr: 'CHANGELOG.md says nothing about 7.8.9\n' })
    appendFileSync(join(clone, 'CHANGELOG.md'), '- Everything is new.\n')
    await commit()
    const { code, stdout, stderr } = await release('7.8.9', '--dry-run')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const { manifest } of publishedPackages(clone)) expect(stdout).toContain(manifest.name)
    expect((await git('status', '--porcelain')).stdout.toString()).toBe('')
  },
)

test('a new version is in every package.json and jsr.json, in the template of a Worker, and in the program', async () => {
  const folder = join(scratch, 'versioned')
  copyWorkspace(folder)
  setVersion(folder, '7.8.9')
  const manifests = globSync('{packages,apps}/*/package.json', { cwd: folder }).map((path) =>
    readManifest(join(folder, path)),
  )
  expect(manifests.length).toBeGreaterThan(5)
  expect(new Set(manifests.map(({ version }) => version))).toEqual(new Set(['7.8.9']))
  const template = readManifest(join(folder, 'apps/cloudflare/template/package.json'))
  expect(template.dependencies).toEqual({ '@postern/engine': '7.8.9', '@postern/worker': '7.8.9' })
  expect(staleJsrFiles(folder)).toEqual([])
  const { stdout } = await mustRun(process.execPath, [join(folder, 'apps/server/main.js'), '--version'])
  expect(stdout.toString()).toBe('7.8.9\n')
})

test('packages are published after those that they depend on', () => {
  const names = inOrder(publishedPackages(join(import.meta.dirname, '../..'))).map(({ manifest }) => manifest.name)
  expect(names[0]).toBe('@postern/engine')
  expect(names.indexOf('@postern/storage')).toBeLessThan(names.indexOf('@postern/intake'))
  expect(names.indexOf('@postern/intake')).toBeLessThan(names.indexOf('@postern/server'))
})
