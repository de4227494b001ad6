/** What workers share: memory that all threads count in, so that a bound holds for all of them together. */
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
  /** Tokens of fronts that were used; undefined where no address takes in pipes. */
  readonly tokens: TokenTable | undefined
  /** One word: a lock. */
  readonly output: Int32Array<SharedArrayBuffer>
}

/** What is made before, or only where it is needed. */
export type SharedParts = Partial<Pick<Shared, 'output' | 'tokens'>>

/** Makes it, for so many workers. */
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

/** Counts what the store of one worker holds, and tells what those of all workers do. */
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

/** A part of a bound that is divided: at least 1. */
export function partOf(bound: number, workerCount: number): number {
  return Math.ceil(bound / workerCount)
}

/** Zeros that threads share. */
export function sharedWords(length: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT))
}
