/** What the contract of stores is made of: plain data, no test runner, no runtime. */
import type { BlobStore, StorageErrorCode } from '@postern/storage'

/** Makes a store that nobody has used. */
export type MakeStore = () => Promise<BlobStore>

/** One row of the contract. */
export interface Check {
  readonly name: string
  /** Throws what was expected and what was there. */
  run(make: MakeStore, ground?: Ground): Promise<void>
}

/** What a check may know of where it runs. */
export interface Ground {
  /** Fewer of what is only more of the same: Node has shown the rest of it. Default false. */
  readonly isBrief?: boolean
  /** What the backend's own error says, for the codes that it has one for. */
  readonly causes?: Partial<Readonly<Record<StorageErrorCode, RegExp>>>
  /** Of the backend's own longest key, what it puts before each key here. Default 0. */
  readonly prefixBytes?: number
  /** How memory is measured, where the runtime tells. */
  readonly memory?: {
    /** Bytes that the process holds. */
    readonly residentBytes: () => number
    /** What they may rise by while 100 MiB go through the store. */
    readonly maxGrowthBytes: number
  }
}

export const MiB: number = 1024 * 1024
/** S3's and R2's least size of a part: up to it a blob goes at one go. */
export const PART_BYTES: number = 5 * MiB
