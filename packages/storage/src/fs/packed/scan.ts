/**
 * Reads the entries of a pack, while another process may be writing to it, or after its writer died.
 *
 * An entry counts if a later one says that it was safe. It also counts if its own checksum and those of all entries
 * before it are right. So a torn entry never counts, and an entry behind it never counts either. Only the bodies of the
 * last few entries are read. An entry that was safe and is damaged now still counts, and its reader gets an error.
 *
 * The pack ends at the first header that is not whole. The scan does not search behind it for bytes that look like a
 * header.
 */
import type { Disk } from '../../disk/disk.ts'
import { decode, type Entry, isBody, KIND, MAGIC, MAX_HEAD_BYTES } from './entry.ts'

const CHUNK_BYTES = 256 * 1024
/** Longer than any body of a grave. */
const MAX_GRAVE_BYTES = 128

export interface Counted {
  readonly entry: Entry
  /** The body of a grave. */
  readonly grave?: string
}

export interface ScanOptions {
  readonly seed: number
  /** The position at which to begin: 0, or the end of an earlier scan. */
  readonly from: number
  /** The length of the pack. Bytes behind it are not read. */
  readonly size: number
  /** True if all its bytes are known to be safe. */
  readonly isSafe: boolean
}

/**
 * Calls `count` with each entry that counts, in order.
 *
 * @returns where the next scan begins
 */
export async function scan(
  disk: Disk,
  file: number,
  { seed, from, size, isSafe }: ScanOptions,
  count: (counted: Counted) => void,
): Promise<number> {
  const chunk = Buffer.allocUnsafe(Math.min(Math.max(size - from, MAGIC.length), CHUNK_BYTES))
  /** Entries that no later entry has called safe yet. */
  let doubtful: Counted[] = []
  let start = from
  let bytes = await fill(disk, file, chunk, start, size)
  let at = 0
  if (from === 0) {
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 0
    at = MAGIC.length
  }
  for (;;) {
    const entry = decode(bytes, at, seed, start + at)
    const needed =
      entry === undefined ? MAX_HEAD_BYTES : entry.kind === KIND.grave ? MAX_HEAD_BYTES + MAX_GRAVE_BYTES : 0
    if (at > 0 && at + needed > bytes.length && start + bytes.length < size) {
      start += at
      at = 0
      bytes = await fill(disk, file, chunk, start, size)
      continue
    }
    if (entry === undefined || entry.bodyAt + entry.size > size) break
    const next = entry.bodyAt + entry.size - start
    if (entry.kind === KIND.grave && entry.size > MAX_GRAVE_BYTES) break
    doubtful.push(
      entry.kind === KIND.grave ? { entry, grave: bytes.toString('latin1', entry.bodyAt - start, next) } : { entry },
    )
    if (isSafe || entry.safe > (doubtful[0] as Counted).entry.at) {
      for (const each of doubtful) if (isSafe || each.entry.at < entry.safe) count(each)
      doubtful = doubtful.filter((each) => !isSafe && each.entry.at >= entry.safe)
    }
    at = next
    if (at >= bytes.length) {
      start += at
      at = 0
      if (start >= size) break
      bytes = await fill(disk, file, chunk, start, size)
    }
  }
  for (const each of doubtful) {
    const body = Buffer.allocUnsafe(each.entry.size)
    const { bodyAt } = each.entry
    if (!isBody(await fill(disk, file, body, bodyAt, bodyAt + body.length), each.entry, seed)) return each.entry.at
    count(each)
  }
  return start + at
}

/** Reads from `position` up to `end`, or until the buffer or the file ends. */
export async function fill(disk: Disk, file: number, buffer: Buffer, position: number, end: number): Promise<Buffer> {
  const wanted = Math.min(buffer.length, end - position)
  let filled = 0
  while (filled < wanted) {
    const got = await disk.read(file, buffer, filled, wanted - filled, position + filled)
    if (got === 0) break
    filled += got
  }
  return buffer.subarray(0, filled)
}
