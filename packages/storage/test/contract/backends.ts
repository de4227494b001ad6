/** The backends, and where each runs which part of the contract. A run in which one of these was not heard of has failed. */
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
  // Mail is the same above each way that requests go: one is what Node, Deno and Bun share.
  's3 on R2': { blobs: ['node', 'deno', 'bun', 'workerd'], mail: ['node', 'workerd'] },
  's3 on swift': everywhere('node'),
}

/** What not every machine has. Where REQUIRE_PEERS is 1 it has to be there. */
export const PEERS: readonly string[] = ['s3 on swift']
