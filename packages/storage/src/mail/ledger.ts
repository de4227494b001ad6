/**
 * Counts and sizes of messages in the order of their ids, in bounded memory: of few messages each by itself, of more by blocks
 * of 2, 4, 8 … of them.
 *
 * It tells in which block the limit is reached, counted from the newest. Who then reads that block once more knows the message.
 */

/** At most so many blocks, so a block is about a thousandth of all. */
const MAX_BLOCKS = 2048

interface Block {
  readonly first: string
  last: string
  count: number
  bytes: number
}

/** The block that a limit is reached in: what is before it goes, what is behind it stays. */
export interface Line {
  /** Ids; both are in the block. */
  readonly first: string
  readonly last: string
  /** Of the sizes of the messages in the block, oldest first: how many of them, from the first on, are over the limit. */
  over(sizes: readonly number[]): number
}

export class Ledger {
  #blocks: Block[] = []
  #width = 1

  /** Ids are given in ascending order. */
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

  /** Undefined: there is no more than the limits allow. The newest message is always within the limit on bytes. */
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
