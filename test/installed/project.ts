/** All published packages: packed in a copy of the workspace, and installed by npm into a project that has nothing else. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustRun } from '../kit/tool.ts'
import { packAll, tarballOf } from '../release/pack.ts'
import { type Package, publishedPackages } from '../release/packages.ts'
import { Registry } from './registry.ts'
import { copyWorkspace, ROOT } from './workspace.ts'

/** What the test files of this run share. `test/vitest.config.ts` removes it. */
const SHARED = join(ROOT, 'test/.cache/installed')
const TARBALLS = join(SHARED, 'tarballs')
/** What npm installed. Each test file gets a copy. */
const INSTALLED = join(SHARED, 'project')
/** Is there when both are. */
const READY = join(SHARED, 'ready')
/** Is there if npm could not pack or install. */
const BROKEN = join(SHARED, 'broken')

/** A busy machine packs and installs slowly. */
export const LONG_MS = 300_000

/** Packages of types that a program of the project needs. */
const TYPES = ['@types/node', '@cloudflare/workers-types']

export interface Project {
  readonly packages: readonly Package[]
  /** Has the tarballs that npm made, for all test files of a run. */
  readonly tarballs: string
  /** The project. */
  readonly directory: string
  /** Variables under which npm, Deno and Bun ask the registry of this test, with caches of their own. */
  readonly env: Record<string, string>
  close(): void
}

/** Makes the project below `scratch`. */
export async function makeProject(scratch: string): Promise<Project> {
  const packages = publishedPackages(ROOT)
  const env = environment(scratch)
  await once(() => packAndInstall(scratch, packages, env))
  const directory = join(scratch, 'project')
  cpSync(INSTALLED, directory, { recursive: true, verbatimSymlinks: true })
  const registry = await startRegistry(packages)
  env['npm_config_registry'] = registry.url
  return { packages, tarballs: TARBALLS, directory, env, close: () => registry.stop() }
}

/** Packs in a copy of the workspace, and installs into a new project. */
async function packAndInstall(
  scratch: string,
  packages: readonly Package[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const workspace = join(scratch, 'packed')
  mkdirSync(workspace)
  copyWorkspace(workspace)
  packAll(workspace, packages, TARBALLS, env)
  for (const { folder } of packages) {
    const [packed, own] = [workspace, ROOT].map((root) => readFileSync(join(root, folder, 'package.json'), 'utf8'))
    if (packed !== own) throw new Error(`npm pack left the published form of ${folder}/package.json behind`)
  }
  // Outside of the workspace, so that the project finds none of its packages.
  const directory = join(scratch, 'new')
  mkdirSync(directory)
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const names = [...packages.map(({ manifest }) => manifest.name), ...TYPES]
  const registry = await startRegistry(packages)
  try {
    await mustRun('npm', ['install', '--no-audit', '--no-fund', ...names], {
      cwd: directory,
      env: { ...env, npm_config_registry: registry.url },
      timeoutMs: LONG_MS,
    })
  } finally {
    registry.stop()
  }
  cpSync(directory, INSTALLED, { recursive: true, verbatimSymlinks: true })
}

/** Starts a registry that has the tarballs, and the packages of types. */
async function startRegistry(packages: readonly Package[]): Promise<{ readonly url: string; stop(): void }> {
  const registry = new Registry()
  for (const each of packages) registry.addTarball(tarballOf(TARBALLS, each), join(ROOT, each.folder))
  for (const name of TYPES) registry.addInstalled(name, ROOT)
  return { url: await registry.start(), stop: () => registry.stop() }
}

/** Does it in the first test file that comes here. The others wait for it. @throws if it fails, in each of them */
async function once(make: () => Promise<void>): Promise<void> {
  if (isFirst()) {
    try {
      await make()
      writeFileSync(READY, '')
    } catch (error) {
      writeFileSync(BROKEN, '')
      throw error
    }
  }
  const deadline = Date.now() + LONG_MS
  while (!existsSync(READY)) {
    if (existsSync(BROKEN)) throw new Error('another test file could not pack or install')
    if (Date.now() > deadline) throw new Error(`another test file has not packed and installed within ${LONG_MS} ms`)
    await sleep(100)
  }
}

/** Makes the folder that is shared. @returns false if another test file has made it */
function isFirst(): boolean {
  mkdirSync(join(ROOT, 'test/.cache'), { recursive: true })
  try {
    mkdirSync(SHARED)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Returns the files in the folder of an unpacked package. */
export function filesIn(folder: string): string[] {
  return globSync('**', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted()
}

/** The variables of a shell that knows nothing of this workspace or of the program that runs the tests. */
function environment(scratch: string): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(POSTERN_|npm_|VITEST|NODE_)/.test(name))
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>),
    npm_config_cache: join(scratch, 'npm'),
    DENO_DIR: join(scratch, 'deno'),
    BUN_INSTALL_CACHE_DIR: join(scratch, 'bun'),
    NO_COLOR: '1',
  }
}
