/** What a queue in tables needs of SQLite, which answers synchronously. */

export type SqlRow = Readonly<Record<string, unknown>>

/** Runs statements. */
export interface Sql {
  /** Runs a statement to its end, and returns its rows. */
  all(query: string, ...values: (string | number)[]): readonly SqlRow[]
  run(query: string, ...values: (string | number)[]): void
}

export interface Transactions {
  /**
   * Runs `work` inside a transaction, and resolves when the transaction is durable. `work` may run twice, so it may change only the
   * database. If it throws, its changes are undone, and the promise rejects with a QueueError.
   *
   * @param rows About how many rows it writes
   */
  run<T>(rows: number, work: () => T): Promise<T>
  /** Refuses new work, and resolves when the work so far has ended. */
  close(): Promise<void>
}
