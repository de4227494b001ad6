/** @postern/runtime/memory: two ends of one connection inside a program. */
export type { PairOptions } from './pair.ts'
export { pair } from './pair.ts'
