/** Statements of `node:sqlite`, each prepared once. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Sql, SqlRow } from '../sql/sql.ts'

export class Statements implements Sql {
  readonly #db: DatabaseSync
  /** By their text. There are as many as the code has queries. */
  readonly #prepared = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  all(query: string, ...values: (string | number)[]): readonly SqlRow[] {
    return this.#prepare(query).all(...values)
  }

  run(query: string, ...values: (string | number)[]): void {
    this.#prepare(query).run(...values)
  }

  #prepare(query: string): StatementSync {
    let statement = this.#prepared.get(query)
    if (statement === undefined) this.#prepared.set(query, (statement = this.#db.prepare(query)))
    return statement
  }
}
