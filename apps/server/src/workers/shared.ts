/** The memory that workers share for counting, so that a bound holds for all of them together. */
import type { AdmissionLimits } from '@postern/engine'
import type { ByteCount } from '@postern/storage'
import { type AdmissionMemory, admissionMemory } from './admission.ts'
import type { TokenTable } from './tokens.ts'

/** It can be sent to a thread. */
export interface Shared {
  readonly workerCount: number
  readonly admission: AdmissionMemory
  /** Bytes that the store of each worker holds. */
  readonly bufferedBytes: Int32Array<SharedArrayBuffer>
  /** Used tokens of fronts. Undefined if no address is for fronts. */
  readonly tokens: TokenTable | undefined
  /** One word, the lock of the outputs. */
  readonly output: Int32Array<SharedArrayBuffer>
}

/** Parts that are made earlier, or only if they are needed. */
export type SharedParts = Partial<Pick<Shared, 'output' | 'tokens'>>

/** Makes the shared memory. */
export function makeShared(
  limits: AdmissionLimits,
  workerCount: number,
  { output = sharedWords(1), tokens }: SharedParts = {},
): Shared {
  return {
    workerCount,
    admission: admissionMemory(limits, workerCount),
    bufferedBytes: sharedWords(workerCount),
    tokens,
    output,
  }
}

/** Makes the count of bytes that one worker's store holds. Its `add` returns the sum of all workers. */
export function sharedByteCount({ bufferedBytes }: Shared, worker: number): ByteCount {
  return {
    add(byteLength) {
      Atomics.add(bufferedBytes, worker, byteLength)
      let sum = 0
      for (let other = 0; other < bufferedBytes.length; other++) sum += Atomics.load(bufferedBytes, other)
      return sum
    },
  }
}

/** Returns a worker's part of a bound, at least 1. */
export function partOf(bound: number, workerCount: number): number {
  return Math.ceil(bound / workerCount)
}

/** Makes shared words, all 0. */
export function sharedWords(length: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT))
}
