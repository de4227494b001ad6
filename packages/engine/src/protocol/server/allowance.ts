/**
 * Bounds what all sessions of a server may hold together of one kind. A bound for each session is not enough: two thousand
 * sessions may hold two thousand times as much.
 */
export class Allowance {
  #left: number

  constructor(max: number) {
    this.#left = max
  }

  /** Takes an amount. If less is left, takes nothing and returns false. */
  take(amount: number): boolean {
    if (amount > this.#left) return false
    this.#left -= amount
    return true
  }

  /** Gives an amount back. */
  give(amount: number): void {
    this.#left += amount
  }
}
