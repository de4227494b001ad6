/** Loads the sockets of the runtime that this process runs on. Each runtime has its own folder in @postern/runtime. */
import process from 'node:process'

/** The runtimes of `postern`. */
export type RuntimeName = 'node' | 'deno' | 'bun'

/** The functions that `postern` needs from a runtime. Each folder exports them. */
export type Runtime = Pick<typeof import('@postern/runtime/node'), 'connect' | 'listen'>

export const runtimeName: RuntimeName = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'

/** True if the program is one file that contains Bun (`pnpm binary`). */
export const isBinary: boolean = process.argv[1]?.startsWith('/$bunfs/') === true

export function loadRuntime(): Promise<Runtime> {
  switch (runtimeName) {
    case 'node':
      return import('@postern/runtime/node')
    case 'deno':
      return import('@postern/runtime/deno')
    case 'bun':
      return import('@postern/runtime/bun')
  }
}
