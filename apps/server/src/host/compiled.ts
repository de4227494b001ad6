/**
 * What Node made of the program, kept for its next start: without it, each start strips the types of every file again, and
 * compiles it. Bun can do the same; Deno does it by itself.
 *
 * It is kept beside the program, where only who may change the program may write; where this process may not, nothing is kept.
 */
import module from 'node:module'
import { resolve } from 'node:path'

/** Also a daemon that never ends well leaves it behind, with what its first sessions needed. */
const KEPT_AFTER_MS = 5_000

/** Uses what an earlier start kept, and keeps what this one adds. */
export function keepCompiled(): void {
  // Where a runtime has no such thing, the types say otherwise.
  module.enableCompileCache?.(resolve(import.meta.dirname, '../../node_modules/.cache/compiled'))
  setTimeout(() => module.flushCompileCache?.(), KEPT_AFTER_MS).unref()
}
