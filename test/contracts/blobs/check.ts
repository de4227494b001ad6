/** The parts of the contract of stores: plain data, without a test runner and for any runtime. */
import type { BlobStore, StorageErrorCode } from '@postern/storage'

/** Makes an unused store. */
export type MakeStore = () => Promise<BlobStore>

/** One row of the contract. */
export interface Check {
  readonly name: string
  /** True if each run makes this check on every backend in every runtime. A run samples the others. Default false. */
  readonly isEssential?: boolean
  /** Throws an error that names the expected and the actual value. */
  run(make: MakeStore, ground?: Ground): Promise<void>
}

/** Facts that a check may know about its place of run. */
export interface Ground {
  /** True runs fewer repetitions, because another backend or runtime runs them all. Default false. */
  readonly isBrief?: boolean
  /** The message of the backend's own error, for each code that has one. */
  readonly causes?: Partial<Readonly<Record<StorageErrorCode, RegExp>>>
  /** How many bytes of its longest key the backend uses for a prefix before each key. Default 0. */
  readonly prefixBytes?: number
  /** How memory is measured, if the runtime can tell. */
  readonly memory?: {
    /** Returns how many bytes the process holds. */
    readonly residentBytes: () => number
    /** How much they may grow while 100 MiB go through the store. */
    readonly maxGrowthBytes: number
  }
}

export const MiB: number = 1024 * 1024
/** The least size of a part in S3 and R2. A blob up to this size is sent in one request. */
export const PART_BYTES: number = 5 * MiB
