/** A copy of the workspace. To pack a package changes its package.json for a moment, which other tests must not see. */
import { cpSync, globSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

export const ROOT: string = resolve(import.meta.dirname, '../..')

const COPIED = ['packages', 'apps', 'test/release', 'LICENSE', 'CHANGELOG.md', '*.json', 'pnpm-*.yaml']
/** Not part of a fresh clone. */
const LEFT_OUT = new Set(['dist', '.wrangler', '.package.json.packing'])

/** Copies what a build needs into `directory`. The copy uses the dependencies of this workspace. */
export function copyWorkspace(directory: string): void {
  for (const path of globSync(COPIED, { cwd: ROOT })) {
    const target = join(directory, path)
    mkdirSync(dirname(target), { recursive: true })
    const filter = (source: string): boolean => !LEFT_OUT.has(basename(source)) && !source.endsWith('.tgz')
    // The links of pnpm are relative, so they lead to packages of the copy.
    cpSync(join(ROOT, path), target, { recursive: true, verbatimSymlinks: true, filter })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
}
