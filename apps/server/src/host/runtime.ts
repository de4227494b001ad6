/** The runtime that this process runs on, and its sockets. Each has its own folder of @postern/runtime, loaded only there. */

/** Where `postern` can run. */
export type RuntimeName = 'node' | 'deno' | 'bun'

/** What `postern` needs of a runtime; each folder exports it. */
export type Runtime = Pick<typeof import('@postern/runtime/node'), 'listen'>

export const runtimeName: RuntimeName = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'

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
