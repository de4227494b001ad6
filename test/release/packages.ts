/** The packages that are published: every package of the workspace that is not private. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the scripts of this folder read of a package.json. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly publishConfig?: Readonly<Record<string, unknown>>
  readonly [field: string]: unknown
}

export interface Package {
  /** Relative to the root of the workspace. */
  readonly folder: string
  readonly manifest: Manifest
}

/** Returns all packages that are published, sorted by folder. */
export function publishedPackages(root: string): Package[] {
  return globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: root })
    .toSorted()
    .map((path) => ({ folder: dirname(path), manifest: readManifest(join(root, path)) }))
    .filter(({ manifest }) => manifest.private !== true)
}

export function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}
