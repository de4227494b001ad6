/** Listens on the sockets of the runtime that runs the test. */
import type { Listener } from '@postern/engine'
import type { Acceptor, ListenOptions } from '@postern/runtime/node'

/** Node, Deno and Bun have the same `listen`. */
export async function listen(acceptor: Acceptor, options: ListenOptions): Promise<Listener> {
  const sockets = await socketsOf()
  return sockets.listen(acceptor, options)
}

function socketsOf(): Promise<{ listen: typeof listen }> {
  if ('Bun' in globalThis) return import('@postern/runtime/bun')
  if ('Deno' in globalThis) return import('@postern/runtime/deno')
  return import('@postern/runtime/node')
}
