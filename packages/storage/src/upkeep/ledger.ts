/**
 * Counts messages and their bytes, in the order of their ids and in bounded memory. It counts few messages one by one,
 * and more in blocks of 2, 4, 8 … messages.
 *
 * It finds the block in which a limit is reached, counted from the newest message. The caller reads that block again to
 * find the message.
 */

/** The greatest number of blocks. So a block has about a thousandth of all messages. */
const MAX_BLOCKS = 2048

interface Block {
  readonly first: string
  last: string
  count: number
  bytes: number
}

/** The block in which a limit is reached. Messages before it are removed, messages behind it stay. */
export interface Line {
  /** The first and the last id of the block. */
  readonly first: string
  readonly last: string
  /** Returns how many messages of the block, from the oldest on, are over the limit. @param sizes Of its messages, oldest first */
  over(sizes: readonly number[]): number
}

export class Ledger {
  #blocks: Block[] = []
  #width = 1

  /** Called with ids in ascending order. */
  add(id: string, size: number): void {
    const block = this.#blocks.at(-1)
    if (block !== undefined && block.count < this.#width) {
      block.last = id
      block.count++
      block.bytes += size
      return
    }
    if (this.#blocks.length === MAX_BLOCKS) this.#merge()
    this.#blocks.push({ first: id, last: id, count: 1, bytes: size })
  }

  /** Returns undefined if no limit is reached. The newest message never exceeds the limit on bytes. */
  line(maxCount: number, maxBytes: number): Line | undefined {
    let count = maxCount
    let bytes = maxBytes
    for (const block of this.#blocks.toReversed()) {
      if (block.count > count || block.bytes > bytes) {
        const keepsOne = block === this.#blocks.at(-1)
        return { first: block.first, last: block.last, over: (sizes) => over(sizes, count, bytes, keepsOne) }
      }
      count -= block.count
      bytes -= block.bytes
    }
    return undefined
  }

  #merge(): void {
    const merged: Block[] = []
    for (let at = 0; at < this.#blocks.length; at += 2) {
      const [one, other] = [this.#blocks[at] as Block, this.#blocks[at + 1] as Block]
      merged.push({
        first: one.first,
        last: other.last,
        count: one.count + other.count,
        bytes: one.bytes + other.bytes,
      })
    }
    this.#blocks = merged
    this.#width *= 2
  }
}

function over(sizes: readonly number[], maxCount: number, maxBytes: number, keepsOne: boolean): number {
  let bytes = 0
  for (let kept = 0; kept < sizes.length; kept++) {
    bytes += sizes[sizes.length - 1 - kept] as number
    const isWithin = kept < maxCount && (bytes <= maxBytes || (keepsOne && kept === 0))
    if (!isWithin) return sizes.length - kept
  }
  return 0
}
