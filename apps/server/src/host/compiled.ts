/**
 * Keeps Node's compiled code for the next start. Without it, each start strips the types of every file and compiles it again. Bun can
 * keep it too; Deno does so by itself.
 *
 * The cache is beside the program, where only users may write who may also change the program. If this process may not write there,
 * nothing is kept.
 */
import module from 'node:module'
import { resolve } from 'node:path'

/** The cache is written after this time, so that a daemon that is killed leaves it too, with the code of its first sessions. */
const KEPT_AFTER_MS = 5_000

/** Uses the cache of earlier starts, and adds to it. */
export function keepCompiled(): void {
  // Some runtimes do not have these functions, although the types say so.
  module.enableCompileCache?.(resolve(import.meta.dirname, '../../node_modules/.cache/compiled'))
  setTimeout(() => module.flushCompileCache?.(), KEPT_AFTER_MS).unref()
}
