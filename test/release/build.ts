/**
 * `pnpm build`: compiles each published package into its `dist`, as ES modules with types and source maps.
 *
 * TypeScript's build mode does the work. Its configurations are written here, because all that they say follows from package.json: a
 * package refers to the packages that it depends on, so that TypeScript reads their types from `dist` and emits no file of theirs.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { restoreAfterKill, writeWhole } from './manifest.ts'
import { type Package, publishedPackages } from './packages.ts'

/** The folder of the configurations, relative to the root. */
const CONFIGS = 'test/.cache/build'

/** Builds one package and those that it needs, or all of them. @throws if TypeScript reports errors */
export function build(root: string, folder?: string): void {
  for (const each of publishedPackages(root)) restoreAfterKill(join(root, each.folder))
  const packages = publishedPackages(root)
  const configs = join(root, CONFIGS)
  mkdirSync(configs, { recursive: true })
  for (const each of packages) writeFileSync(configOf(root, each), JSON.stringify(configuration(root, each, packages)))
  const built = folder === undefined ? packages : packages.filter((each) => each.folder === folder)
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const { status, error } = spawnSync(
    process.execPath,
    [compiler, '--build', ...built.map((each) => configOf(root, each))],
    // `npm pack --json` prints JSON on stdout.
    { stdio: ['ignore', 2, 2] },
  )
  if (status !== 0) throw new Error('the packages do not compile', { cause: error })
  for (const each of built) {
    removeLeftovers(root, each)
    nameJavaScript(join(root, each.folder, 'dist'))
  }
}

function configOf(root: string, { folder }: Package): string {
  return join(root, CONFIGS, `${folder.replace('/', '-')}.json`)
}

function configuration(root: string, each: Package, packages: readonly Package[]): object {
  const folder = join(root, each.folder)
  const own = join(folder, 'tsconfig.json')
  const needed = packages.filter(({ manifest }) => each.manifest.dependencies?.[manifest.name] !== undefined)
  return {
    extends: existsSync(own) ? own : join(root, 'tsconfig.json'),
    compilerOptions: {
      composite: true,
      noEmit: false,
      rootDir: rootDirectory(folder),
      outDir: join(folder, 'dist'),
      sourceMap: true,
      declarationMap: true,
      tsBuildInfoFile: `${configOf(root, each)}.tsbuildinfo`,
    },
    include: [join(folder, 'src'), join(folder, '*.ts')],
    exclude: [],
    references: needed.map((other) => ({ path: configOf(root, other) })),
  }
}

/** Returns the folder that `dist` mirrors: `src`, or the package if it has sources beside `src`. */
function rootDirectory(folder: string): string {
  return globSync('*.ts', { cwd: folder }).length > 0 ? folder : join(folder, 'src')
}

/** Removes files of `dist` whose source is gone: TypeScript leaves them there. */
function removeLeftovers(root: string, { folder }: Package): void {
  const from = rootDirectory(join(root, folder))
  const dist = join(root, folder, 'dist')
  for (const file of globSync('**/*.{js,d.ts,map}', { cwd: dist })) {
    const source = file.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts')
    if (!existsSync(join(from, source))) rmSync(join(dist, file))
  }
}

/** Makes the types import `.js` files, as the code does. TypeScript itself leaves `.ts` there, which only TypeScript can follow. */
function nameJavaScript(dist: string): void {
  for (const file of globSync('**/*.d.ts', { cwd: dist })) {
    const path = join(dist, file)
    const text = readFileSync(path, 'utf8')
    const named = text.replaceAll(/(?<=\b(?:from |import\()')(\.{1,2}\/[^']+)\.ts(?=')/g, '$1.js')
    if (named !== text) writeWhole(path, named)
  }
}

if (import.meta.main) build(resolve(import.meta.dirname, '../..'))
