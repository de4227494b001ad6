/** The backends, and the runtimes in which each runs each part of the contract. A run fails if it has no outcome for one of these. */
export type Runtime = 'node' | 'deno' | 'bun' | 'workerd'

/** The parts of the contract of stores. */
export const PARTS = ['blobs', 'mail'] as const

type Places = Readonly<Record<(typeof PARTS)[number], readonly Runtime[]>>

function everywhere(...runtimes: Runtime[]): Places {
  return { blobs: runtimes, mail: runtimes }
}

export const BACKENDS: Readonly<Record<string, Places>> = {
  memory: everywhere('node', 'deno', 'bun', 'workerd'),
  fs: everywhere('node', 'deno', 'bun'),
  'fs packed': everywhere('node', 'deno', 'bun'),
  r2: everywhere('node', 'workerd'),
  'disk of workerd': everywhere('node'),
  // Mail does not depend on how a runtime sends requests. Node, Deno and Bun share one way, so Node alone checks mail.
  's3 on R2': { blobs: ['node', 'deno', 'bun', 'workerd'], mail: ['node', 'workerd'] },
  's3 on swift': everywhere('node'),
}

/** Backends that need a program which not every machine has. With REQUIRE_PEERS=1 they must be there. */
export const PEERS: readonly string[] = ['s3 on swift']
