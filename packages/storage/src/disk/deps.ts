/** What all files of one store share, in every layout. */
import type { Disk } from './disk.ts'
import { Reading } from './reading.ts'
import { Slots } from './slots.ts'

export interface DiskDeps {
  readonly disk: Disk
  /** Slots for short work: a small file, a directory. */
  readonly brief: Slots
  /** Slots for large files. Each is held for as long as its file is being written. */
  readonly large: Slots
  /**
   * Slots for large files whose callers have a slot of `large` already. They are others, because callers that wait for a second slot of
   * the same kind would wait for one another.
   */
  readonly besides: Slots
  readonly reading: Reading
}

const DEFAULT_MAX_OPEN_FILES = 1024
/** The greatest number of files that are open at the same time for short work: small blobs, directories. */
export const MAX_BRIEF = 64

export function diskDeps(disk: Disk, maxOpenFiles: number = DEFAULT_MAX_OPEN_FILES): DiskDeps {
  const brief = new Slots(MAX_BRIEF)
  return {
    disk,
    brief,
    large: new Slots(maxOpenFiles),
    besides: new Slots(maxOpenFiles),
    reading: new Reading(disk, brief, new Slots(maxOpenFiles)),
  }
}

/**
 * Returns the bound on open files if it is valid.
 * @throws RangeError
 */
export function checkOpenFiles(maxOpenFiles: number = DEFAULT_MAX_OPEN_FILES): number {
  if (Number.isInteger(maxOpenFiles) && maxOpenFiles >= 1) return maxOpenFiles
  throw new RangeError(`maxOpenFiles: ${maxOpenFiles} is not a whole number from 1`)
}
