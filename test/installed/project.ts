/** All published packages: packed in a copy of the workspace, and installed by npm into a project that has nothing else. */
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustRun, type ToolResult } from '../kit/tool.ts'
import { packAll, tarballOf } from '../release/pack.ts'
import { type Package, publishedPackages } from '../release/packages.ts'
import { Registry } from './registry.ts'
import { copyWorkspace, ROOT } from './workspace.ts'

/** The tarballs of this run, which its test files share. `test/vitest.config.ts` removes them. */
const TARBALLS = join(ROOT, 'test/.cache/tarballs')
/** Is there when all tarballs are. */
const PACKED = join(TARBALLS, 'packed')
/** Is there if npm could not pack. */
const BROKEN = join(TARBALLS, 'broken')

/** A busy machine packs and installs slowly. */
export const LONG_MS = 300_000

export interface Project {
  /** The copy of the workspace. */
  readonly workspace: string
  readonly packages: readonly Package[]
  /** Has the tarballs that npm made, for all test files of a run. */
  readonly tarballs: string
  /** The project. */
  readonly directory: string
  /** Variables under which npm, Deno and Bun ask the registry of this test, with caches of their own. */
  readonly env: Record<string, string>
  run(command: string, ...args: readonly string[]): Promise<ToolResult>
  close(): void
}

/** Makes the project below `scratch`. */
export async function makeProject(scratch: string): Promise<Project> {
  const [workspace, directory] = ['workspace', 'project'].map((name) => join(scratch, name)) as [string, string]
  for (const path of [workspace, directory]) mkdirSync(path)
  copyWorkspace(workspace)
  const packages = publishedPackages(workspace)
  const registry = new Registry()
  const env = environment(scratch)
  await packOnce(() => packAll(workspace, packages, TARBALLS, env))
  for (const each of packages) registry.addTarball(tarballOf(TARBALLS, each), join(ROOT, each.folder))
  for (const name of ['@types/node', '@cloudflare/workers-types']) registry.addInstalled(name, ROOT)
  env['npm_config_registry'] = await registry.start()
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const run = (command: string, ...args: readonly string[]): Promise<ToolResult> =>
    mustRun(command, args, { cwd: directory, env, timeoutMs: LONG_MS })
  const names = packages.map(({ manifest }) => manifest.name)
  await run('npm', 'install', '--no-audit', '--no-fund', ...names, '@types/node', '@cloudflare/workers-types')
  return { workspace, packages, tarballs: TARBALLS, directory, env, run, close: () => registry.stop() }
}

/** Packs in the first test file that comes here. The others wait for it. @throws if the packing fails, in each of them */
async function packOnce(pack: () => void): Promise<void> {
  if (isFirst()) {
    try {
      pack()
      writeFileSync(PACKED, '')
    } catch (error) {
      writeFileSync(BROKEN, '')
      throw error
    }
  }
  const deadline = Date.now() + LONG_MS
  while (!existsSync(PACKED)) {
    if (existsSync(BROKEN)) throw new Error('another test file could not pack')
    if (Date.now() > deadline) throw new Error(`another test file has not packed within ${LONG_MS} ms`)
    await sleep(100)
  }
}

/** Makes the folder of the tarballs. @returns false if another test file has made it */
function isFirst(): boolean {
  mkdirSync(join(ROOT, 'test/.cache'), { recursive: true })
  try {
    mkdirSync(TARBALLS)
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
