/** The script `prepack` of each package, in its folder: builds it, and writes the package.json that is published. */
import { join, relative, resolve } from 'node:path'
import process from 'node:process'
import { build } from './build.ts'
import { publishedManifest, refuseSecondPack, replaceManifest, restore } from './manifest.ts'
import { publishedPackages, readManifest } from './packages.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = process.cwd()
try {
  refuseSecondPack(folder)
  // An earlier pack may have been killed.
  restore(folder)
  const packages = publishedPackages(root)
  build(root, relative(root, folder))
  replaceManifest(folder, publishedManifest(readManifest(join(folder, 'package.json')), packages))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
