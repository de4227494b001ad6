/**
 * `pnpm binary [TARGET…]`: makes one executable file of `postern` and Bun. A target is for example linux-arm64 or darwin-arm64; the default is
 * this machine. For any other target Bun first downloads its executable.
 *
 * Each thread has a program of its own. Bun embeds those that are named here, and the code finds them beside its own file.
 */
import { spawnSync } from 'node:child_process'
import { basename, join, resolve } from 'node:path'
import process from 'node:process'

/** The program, then those of the threads. */
const ENTRIES = ['apps/server/main.ts', 'apps/server/src/workers/worker.ts', 'packages/intake/src/logins/checker.ts']
const TARGET = /^(linux|darwin|windows)-(x64|arm64)(-(baseline|modern|musl))*$/

/** @param target Default: this machine. @throws Error if Bun fails */
export function makeBinary(root: string, outfile: string, target?: string): void {
  const { status, error } = spawnSync(
    'bun',
    [
      'build',
      '--compile',
      ...(target === undefined ? [] : [`--target=bun-${target}`]),
      // The embedded files are all in one folder.
      '--entry-naming=[name].[ext]',
      // As on other runtimes, no file of the working directory changes how the program starts.
      '--no-compile-autoload-dotenv',
      '--no-compile-autoload-bunfig',
      `--outfile=${outfile}`,
      ...ENTRIES,
    ],
    { cwd: root, stdio: ['ignore', 2, 2] },
  )
  if (status !== 0) throw new Error(`${basename(outfile)}: Bun did not make it`, { cause: error })
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '../..')
  const targets = process.argv.slice(2)
  const wrong = targets.find((target) => !TARGET.test(target))
  if (wrong !== undefined) {
    console.error(`${wrong} is not a target such as linux-x64, linux-arm64-musl, darwin-arm64 or windows-x64`)
    process.exitCode = 2
  } else {
    try {
      if (targets.length === 0) makeBinary(root, join(root, 'dist/postern'))
      for (const target of targets) makeBinary(root, join(root, `dist/postern-${target}`), target)
    } catch (error) {
      console.error(error instanceof Error ? error.message : error)
      process.exitCode = 1
    }
  }
}
