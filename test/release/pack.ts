/** Packs all published packages, as `npm pack` in the folder of each does: `node test/release/pack.ts DESTINATION`. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { restoreAfterKill } from './manifest.ts'
import { type Package, publishedPackages } from './packages.ts'

/** @param destination Gets the tarballs. @throws if npm fails */
export function packAll(
  root: string,
  packages: readonly Package[],
  destination: string,
  env: NodeJS.ProcessEnv = process.env,
): void {
  mkdirSync(destination, { recursive: true })
  for (const { folder } of packages) restoreAfterKill(join(root, folder))
  const folders = packages.map(({ folder }) => `./${folder}`)
  const { status, error } = spawnSync('npm', ['pack', '--silent', '--pack-destination', destination, ...folders], {
    cwd: root,
    env,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) throw new Error('npm pack failed', { cause: error })
}

/** Returns the path of a tarball that {@link packAll} makes. */
export function tarballOf(destination: string, { manifest: { name, version } }: Package): string {
  return join(destination, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)
}

if (import.meta.main) {
  const [destination] = process.argv.slice(2)
  const root = resolve(import.meta.dirname, '../..')
  if (destination === undefined) {
    console.error('name the folder for the tarballs')
    process.exitCode = 2
  } else packAll(root, publishedPackages(root), resolve(destination))
}
