/**
 * Keeps Node's compiled code for the next start. Without it, each start strips the types of every file and compiles it
 * again. Bun can keep it too; Deno keeps it without help.
 *
 * The cache is beside the program. Only a user who may change the program may write there. If this process may not
 * write there, nothing is kept.
 */
import module from 'node:module'
import { resolve } from 'node:path'

/**
 * The cache is written after this time. So a daemon that is killed also leaves a cache, with the code of its first
 * sessions.
 */
const KEPT_AFTER_MS = 5_000

/** Uses the cache of earlier starts, and adds to it. */
export function keepCompiled(): void {
  const folder = import.meta.dirname
  // A module that Deno loads from a URL has no folder. Some runtimes do not have these functions, although the types say so.
  if (folder !== undefined) module.enableCompileCache?.(resolve(folder, '../../node_modules/.cache/compiled'))
  setTimeout(() => module.flushCompileCache?.(), KEPT_AFTER_MS).unref()
}
