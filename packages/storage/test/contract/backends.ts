/** The parts of the contract of stores. */
export const PARTS = ['blobs', 'mail'] as const

/** The backends, and where each runs the contract. A run in which one of these was not heard of has failed. */
export type Runtime = 'node' | 'deno' | 'bun' | 'workerd'

export const BACKENDS: Readonly<Record<string, readonly Runtime[]>> = {
  memory: ['node', 'deno', 'bun', 'workerd'],
  fs: ['node', 'deno', 'bun'],
  r2: ['node', 'workerd'],
  'disk of workerd': ['node'],
}
