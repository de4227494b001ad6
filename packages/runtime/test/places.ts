/** The runtimes whose sockets these tests check. */
import type { Duplex } from '@postern/engine'
import { afterAll } from 'vitest'
import * as node from '../src/node/index.ts'
import { converse } from './converse.ts'
import { openHandles } from './harness.ts'
import { type Place, startRemote } from './remote.ts'

/** The tests use Node's sockets in this process. */
const here: Place = {
  ...node,
  converse: (options) => node.listen({ accept: converse }, options),
  settled: async () => {},
  startTlsAfter,
  openHandles,
  close: () => {},
}

async function startTlsAfter(duplex: Duplex, send: () => void): Promise<unknown> {
  send()
  return duplex.startTls?.()
}

const deno = startRemote(['deno', 'run', '--allow-all', '--unstable-net'])
const bun = startRemote(['bun', 'run'])
afterAll(() => {
  deno.close()
  bun.close()
})

/** For `describe.each`. */
export const PLACES: readonly (readonly [string, Place])[] = [
  ['node', here],
  ['deno', deno],
  ['bun', bun],
]
