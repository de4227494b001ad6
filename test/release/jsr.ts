/**
 * Writes jsr.json of each published package, and the one of the workspace: what `deno publish` reads. JSR takes the sources as they are.
 *
 * All of it follows from package.json. Only `deno publish` reads files of this name, so they change nothing for other Deno commands.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Package, publishedPackages } from './packages.ts'

/** Returns the content of each jsr.json by its path, relative to the root. */
export function jsrFiles(root: string): Record<string, object> {
  const packages = publishedPackages(root)
  // Without `lib`, Deno takes the one of tsconfig.json, which does not have what Deno itself adds.
  const workspace = {
    compilerOptions: { lib: ['deno.window'] },
    workspace: packages.map(({ folder }) => `./${folder}`),
  }
  return {
    'jsr.json': workspace,
    ...Object.fromEntries(packages.map((each) => [`${each.folder}/jsr.json`, configuration(root, each)])),
  }
}

function configuration(root: string, { folder, manifest }: Package): object {
  const { name, version, license } = manifest
  const sources = globSync('*.ts', { cwd: join(root, folder) })
  return {
    name,
    version,
    license,
    exports: {
      // A program is run by the name of its package.
      ...(sources.includes('main.ts') ? { '.': './main.ts' } : {}),
      ...Object.fromEntries(
        Object.entries(manifest['exports'] ?? {}).map(([path, target]) => [path, sourceOf(target as Target)]),
      ),
    },
    publish: { include: ['src', ...sources.toSorted(), 'LICENSE', 'README.md'] },
  }
}

type Target = string | { readonly default: string }

/** JSR knows no conditions. */
function sourceOf(target: Target): string {
  return typeof target === 'string' ? target : target.default
}

/** Returns the paths of the files that do not say what package.json does. */
export function staleJsrFiles(root: string): string[] {
  return Object.entries(jsrFiles(root)).flatMap(([path, content]) =>
    isDeepStrictEqual(read(join(root, path)), content) ? [] : [path],
  )
}

export function writeJsrFiles(root: string): void {
  const files = jsrFiles(root)
  for (const path of staleJsrFiles(root)) writeFileSync(join(root, path), `${JSON.stringify(files[path], null, 2)}\n`)
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

if (import.meta.main) writeJsrFiles(resolve(import.meta.dirname, '../..'))
