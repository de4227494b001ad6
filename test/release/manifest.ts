/**
 * Writes the package.json that is published, for as long as a pack lasts.
 *
 * In the workspace `exports` name the sources. In the tarball they name the built files, which `publishConfig` lists. pnpm makes that
 * change by itself, but npm does not, and npm does not know `workspace:*` either. So `prepack` makes it for both, and `postpack` puts
 * the workspace's package.json back.
 */
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { Manifest, Package } from './packages.ts'

/** Fields of `publishConfig` that replace those of the manifest. npm reads the others when it publishes. */
const REPLACED = ['exports', 'imports', 'bin'] as const
/** Fields that only the workspace uses. */
const DROPPED = ['scripts', 'devDependencies', 'publishConfig', ...REPLACED]

/** Returns what is published: the fields that `publishConfig` replaces, and exact versions of the workspace's packages. */
export function publishedManifest(manifest: Manifest, packages: readonly Package[]): object {
  const config = manifest.publishConfig ?? {}
  const replaced = REPLACED.flatMap((field) => {
    const value = config[field] ?? manifest[field]
    return value === undefined ? [] : [[field, value] as const]
  })
  const kept = Object.entries(config).filter(([field]) => !REPLACED.some((own) => own === field))
  return {
    ...Object.fromEntries(Object.entries(manifest).filter(([field]) => !DROPPED.includes(field))),
    ...Object.fromEntries(replaced),
    ...(manifest.dependencies === undefined ? {} : { dependencies: exactly(manifest.dependencies, packages) }),
    ...(kept.length === 0 ? {} : { publishConfig: Object.fromEntries(kept) }),
  }
}

function exactly(
  dependencies: Readonly<Record<string, string>>,
  packages: readonly Package[],
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) => {
      if (!range.startsWith('workspace:')) return [name, range]
      const found = packages.find(({ manifest }) => manifest.name === name)
      if (found === undefined) throw new Error(`${name} is a dependency, but it is not published`)
      return [name, found.manifest.version]
    }),
  )
}

/** Both forms of a package.json, which a file holds while a package is packed. */
interface Forms {
  readonly workspace: string
  readonly published: string
  /** The process that packs. */
  readonly packer: number
}

/**
 * Replaces package.json of `folder`. {@link restore} puts it back, also after this process was killed.
 *
 * @param packer The process that packs: the parent of the script
 * @throws if another process packs the folder now
 */
export function replaceManifest(folder: string, published: object, packer: number = process.ppid): void {
  const path = join(folder, 'package.json')
  // npm packs the file as it is. pnpm writes it again, in this format and without a newline at the end.
  const forms: Forms = { workspace: readFileSync(path, 'utf8'), published: JSON.stringify(published, null, 2), packer }
  writeNew(formsOf(folder), JSON.stringify(forms))
  writeWhole(path, forms.published)
}

/** @throws if another process packs the folder now. It would get the wrong package.json, or leave it behind */
export function refuseSecondPack(folder: string, packer: number = process.ppid): void {
  const kept = formsOf(folder)
  if (!existsSync(kept)) return
  const { packer: first } = JSON.parse(readFileSync(kept, 'utf8')) as Forms
  if (first === packer || !isRunning(first)) return
  throw new Error(`${folder} is being packed by process ${first}; wait for its end`)
}

/** Puts package.json back if the pack that replaced it was killed. npm can't: what is published has no `prepack` that it would run. */
export function restoreAfterKill(folder: string): void {
  const kept = formsOf(folder)
  if (existsSync(kept) && !isRunning((JSON.parse(readFileSync(kept, 'utf8')) as Forms).packer)) restore(folder)
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0)
  } catch {
    return false
  }
}

/**
 * Puts the workspace's package.json back if a pack replaced it.
 *
 * @throws if somebody has edited the file since, because that edit would be lost
 */
export function restore(folder: string): void {
  const kept = formsOf(folder)
  if (!existsSync(kept)) return
  const path = join(folder, 'package.json')
  const { workspace, published } = JSON.parse(readFileSync(kept, 'utf8')) as Forms
  const current = readFileSync(path, 'utf8')
  if (current === published) writeWhole(path, workspace)
  else if (current !== workspace) {
    throw new Error(
      `${path} was edited while it was packed; ${kept} has it as it was: merge both by hand, then remove ${kept}`,
    )
  }
  rmSync(kept)
}

function formsOf(folder: string): string {
  return join(folder, '.package.json.packing')
}

/** Writes a file so that nobody reads a part of it. */
export function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`
  writeFileSync(temporary, text)
  renameSync(temporary, path)
}

/** Does the same for a file that is not there yet. @throws if it is there */
function writeNew(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`
  writeFileSync(temporary, text)
  try {
    linkSync(temporary, path)
  } finally {
    rmSync(temporary)
  }
}
