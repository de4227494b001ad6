/** A list in order, with its items found by halving. Items that are equal keep the order in which they came. */
export class Ordered<T> {
  readonly #compare: (one: T, other: T) => number
  readonly #items: T[] = []

  constructor(compare: (one: T, other: T) => number) {
    this.#compare = compare
  }

  get items(): readonly T[] {
    return this.#items
  }

  add(item: T): void {
    this.#items.splice(this.#indexBehind(item), 0, item)
  }

  /** Removes an item that is there. No other item may be equal to it. */
  delete(item: T): void {
    const index = this.#indexBehind(item) - 1
    if (this.#items[index] === item) this.#items.splice(index, 1)
  }

  /** Returns the first item behind this one, which need not be there. */
  behind(item: T): T | undefined {
    return this.#items[this.#indexBehind(item)]
  }

  #indexBehind(item: T): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(this.#items[middle] as T, item) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
