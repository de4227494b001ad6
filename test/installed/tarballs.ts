/** Packs the published packages, and installs them as a stranger would: with npm, into a folder without this repository. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build } from '../release/build.ts'
import { publishedManifest } from '../release/manifest.ts'
import { publishedPackages } from '../release/packages.ts'
import { mustRun } from '../kit/tool.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const INSTALL_TIMEOUT_MS = 300_000

/**
 * Packs these packages into `folder`, and returns the paths of the tarballs.
 *
 * The pack runs on copies. `npm pack` in the workspace replaces each package.json for a moment, and other tests read those files.
 */
export async function packed(folder: string, names: readonly string[]): Promise<string[]> {
  build(ROOT)
  const packages = publishedPackages(ROOT)
  const tarballs: string[] = []
  for (const name of names) {
    const found = packages.find(({ manifest }) => manifest.name === name)
    if (found === undefined) throw new Error(`${name} is not published`)
    const { folder: own, manifest } = found
    const copy = join(folder, 'packing', own)
    await mkdir(copy, { recursive: true })
    for (const part of ['dist', 'src', 'README.md', 'LICENSE']) {
      await cp(join(ROOT, own, part), join(copy, part), { recursive: true })
    }
    await writeFile(join(copy, 'package.json'), JSON.stringify(publishedManifest(manifest, packages), null, 2))
    const { stdout } = await mustRun('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: copy })
    tarballs.push(join(folder, stdout.toString().trim().split('\n').at(-1) ?? ''))
  }
  return tarballs
}

/** Installs tarballs into an empty project. */
export async function install(project: string, tarballs: readonly string[]): Promise<void> {
  await mkdir(project, { recursive: true })
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const flags = ['--no-audit', '--no-fund', '--prefer-offline']
  await mustRun('npm', ['install', ...flags, ...tarballs], { cwd: project, timeoutMs: INSTALL_TIMEOUT_MS })
}

/** Returns the code blocks of a document that are in this language. */
export async function blocksOf(document: string, language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, document), 'utf8')
  return text
    .split(/^```/m)
    .filter((_, index) => index % 2 === 1)
    .flatMap((block) => (block.startsWith(`${language}\n`) ? [block.slice(language.length + 1)] : []))
}
