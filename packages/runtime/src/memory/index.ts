/** @postern/runtime/memory: two ends of one connection inside one program. */
export type { PairOptions } from './pair.ts'
export { pair } from './pair.ts'
