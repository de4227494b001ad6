/** Adds entries: all entries of one call are one record, so they are durable together. */
import type { PreparedEntry } from '../checks.ts'
import { QueueError } from '../error.ts'
import type { Mirror } from './mirror.ts'
import { without } from './changes.ts'
import { storedOf } from './record.ts'
import type { Records } from './table.ts'

export interface AdditionsDeps {
  readonly mirror: Mirror
  readonly records: Records
  readonly name: string
  readonly maxEntries: number
}

/** A record may grow: each recipient gets the reply of a server, and each delivery a lease. */
const GROWTH_OCTETS = 150
const LEASE_OCTETS = 150
/** A name may be taken by a record whose first entry is gone. */
const MAX_NAMES = 100

export class Additions {
  readonly #deps: AdditionsDeps
  #arriving = 0

  constructor(deps: AdditionsDeps) {
    this.#deps = deps
  }

  /** @throws QueueError `full`, `invalid`, `unavailable` */
  async add(entries: readonly PreparedEntry[]): Promise<void> {
    const { mirror, maxEntries, name } = this.#deps
    const added = this.missing(entries)
    if (mirror.entries.length + this.#arriving + added.length > maxEntries)
      throw new QueueError('full', `the queue ${name} is full: ${maxEntries} entries`)
    this.#arriving += added.length
    try {
      await this.put(added)
    } finally {
      this.#arriving -= added.length
    }
  }

  /** Returns the entries that are not there, each once. */
  missing(entries: readonly PreparedEntry[]): PreparedEntry[] {
    const byId = new Map<string, PreparedEntry>()
    for (const entry of entries) if (!byId.has(entry.id)) byId.set(entry.id, entry)
    return [...byId.values()].filter(({ id }) => this.#deps.mirror.byId(id) === undefined)
  }

  /** Stores entries, also over the bound of the queue. */
  async put(entries: readonly PreparedEntry[], patienceMs?: number): Promise<void> {
    let left = entries
    for (let names = 0; names < MAX_NAMES; names++) {
      const [first] = left
      if (first === undefined) return
      const name = names === 0 ? nameOf(first.id) : `${nameOf(first.id)}=${names}`
      const found = await this.#deps.records.create(
        name,
        left.map((entry, at) => storedOf(entry, at)),
        growthOf(left),
        patienceMs,
      )
      if (found === undefined) return
      const ids = new Set(found.map(({ id }) => id))
      left = left.filter(({ id }) => !ids.has(id))
    }
    throw new QueueError('busy', `the queue ${this.#deps.name}: there is no name for an entry`)
  }

  /** Removes an entry again. */
  async remove(id: string): Promise<void> {
    const name = this.#deps.mirror.byId(id)?.record.name
    if (name !== undefined) await this.#deps.records.change(name, (entries) => without(entries, new Set([id])))
  }
}

/** Returns how much a record of these entries may grow. */
function growthOf(entries: readonly PreparedEntry[]): number {
  let octets = 0
  for (const { deliveries } of entries) {
    for (const { recipients } of deliveries) octets += LEASE_OCTETS + recipients.length * GROWTH_OCTETS
  }
  return octets
}

/** An id may have dots, which part the words of a subject. */
function nameOf(id: string): string {
  return id.replaceAll('.', '=')
}
