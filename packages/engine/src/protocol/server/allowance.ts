/**
 * What all sessions of a server may hold together of one kind.
 *
 * A bound for each session does not bound their sum: two thousand sessions hold two thousand times as much.
 */
export class Allowance {
  #left: number

  constructor(max: number) {
    this.#left = max
  }

  /** Takes so much. Returns false, and takes nothing, if less than that is left. */
  take(amount: number): boolean {
    if (amount > this.#left) return false
    this.#left -= amount
    return true
  }

  /** Gives back what was taken. */
  give(amount: number): void {
    this.#left += amount
  }
}
