/** Reads and changes records of the stream. A change is written only if nobody else has changed the record meanwhile; otherwise it is made again. */
import { QueueError } from '../error.ts'
import { failureOf, isConflict } from './failure.ts'
import { Graves } from './graves.ts'
import type { Link } from './link.ts'
import type { Mirror } from './mirror.ts'
import { decode, encode, type StoredEntry, type StoredRecord } from './record.ts'
import type { Message, Stream } from './stream.ts'

/** What a change makes of the entries of a record. */
export interface Change<T> {
  /** undefined: nothing is written. Empty: the record is removed. See graves.ts. */
  readonly entries: readonly StoredEntry[] | undefined
  readonly result: T
}

export interface ChangeOptions {
  /** How long it may take if the server does not answer. Default 10 s. */
  readonly patienceMs?: number
  /** An administrator makes the change. */
  readonly isManaged?: boolean
}

interface Kept {
  readonly seq: number
  readonly octets: number
  readonly origin: string
  readonly entries: readonly StoredEntry[]
}

export const PATIENCE_MS = 10_000
/** Many processes that change the same record let one of them through each time. */
const MAX_CONFLICTS = 100
const FIRST_WAIT_MS = 20
const MAX_WAIT_MS = 1_000
/** The records of messages that are about to be sent are kept, because a claim and a settlement read them. */
const MAX_KEPT_OCTETS = 16 * 2 ** 20
/** For the header of a message and for its subject. */
const HEADER_OCTETS = 1_024

export class Records {
  readonly by: string
  readonly #link: Link
  readonly #mirror: Mirror
  readonly #name: string
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #kept = new Map<string, Kept>()
  readonly #graves: Graves
  #keptOctets = 0
  #isClosed = false

  /** @param name Names the queue in messages */
  constructor(link: Link, mirror: Mirror, name: string) {
    this.#link = link
    this.#mirror = mirror
    this.by = mirror.by
    this.#name = name
    this.#graves = new Graves(() => link.stream(0))
  }

  /** Ends work that waits for a server that is away. */
  close(): void {
    this.#isClosed = true
    this.#graves.close()
  }

  /** Returns the newest entries of a record; undefined if it is gone. */
  read(name: string): Promise<readonly StoredEntry[] | undefined> {
    return this.#patiently(PATIENCE_MS, async (stream) => (await this.#load(stream, name))?.entries)
  }

  /**
   * Adds a record. Returns the entries of the record that has this name already, or undefined if there was none.
   * @param growth How many octets longer it may become
   * @throws QueueError `invalid` if it is too long
   */
  create(
    name: string,
    entries: readonly StoredEntry[],
    growth: number,
    patienceMs: number = PATIENCE_MS,
  ): Promise<readonly StoredEntry[] | undefined> {
    const write = crypto.randomUUID()
    const record: StoredRecord = { by: this.by, write, origin: write, entries }
    return this.#patiently(patienceMs, async (stream) => {
      const bytes = encode(record, stream.maxPayload - HEADER_OCTETS - growth)
      if (bytes === undefined) throw this.#tooLong(stream)
      for (let conflicts = 0, before = 0; conflicts < MAX_CONFLICTS; conflicts++) {
        try {
          this.#took(name, await stream.put(name, bytes, before), record, bytes.length)
          return undefined
        } catch (error) {
          if (!isConflict(error)) throw error
        }
        const found = await this.#load(stream, name)
        // An earlier try of this call was stored, and its answer got lost. Others may have delivered and removed the entries since then.
        if (found?.origin === write) return undefined
        if (found !== undefined && found.entries.length > 0) return found.entries
        before = found?.seq ?? 0
      }
      throw this.#busy()
    })
  }

  /**
   * Changes a record. `change` may be called several times, and gets undefined if the record is gone.
   * @throws what `change` throws
   */
  async change<T>(
    name: string,
    change: (entries: readonly StoredEntry[] | undefined, seq: number, maxOctets: number) => Change<T>,
    { patienceMs = PATIENCE_MS, isManaged = false }: ChangeOptions = {},
  ): Promise<T> {
    const writes = new Map<string, T>()
    return this.#inTurn(name, () =>
      this.#patiently(patienceMs, async (stream) => {
        for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
          const found = await this.#newest(stream, name, conflicts > 0 || writes.size > 0)
          // An earlier try was stored, and its answer got lost.
          if (found !== undefined && writes.has(found.write)) return writes.get(found.write) as T
          const maxOctets = stream.maxPayload - HEADER_OCTETS
          const { entries, result } = change(found?.entries, found?.seq ?? 0, maxOctets)
          if (entries === undefined || found === undefined) return result
          const write = crypto.randomUUID()
          writes.set(write, result)
          const next = {
            by: this.by,
            write,
            origin: found.origin,
            ...(isManaged && { isManaged: true as const }),
            entries,
          }
          if (await this.#write(stream, name, found.seq, next)) return result
          writes.delete(write)
        }
        throw this.#busy()
      }),
    )
  }

  /** Returns false if somebody else has changed the record meanwhile. */
  async #write(stream: Stream, name: string, seq: number, record: StoredRecord): Promise<boolean> {
    const entries = record.entries.map((entry) =>
      entry.first === undefined && !isNew(entry) ? { ...entry, first: seq } : entry,
    )
    const written = { ...record, entries: entries.map(aged) }
    const bytes = encode(written, stream.maxPayload - HEADER_OCTETS)
    if (bytes === undefined) throw this.#tooLong(stream)
    try {
      this.#took(name, await stream.put(name, bytes, seq), written, bytes.length)
      return true
    } catch (error) {
      if (!isConflict(error)) throw error
      return false
    }
  }

  /** Takes a record that another process has written. Returns whether it was news. */
  take({ name, seq, at }: Message, record: StoredRecord, isOld: boolean, isFresh: boolean): boolean {
    if (record.entries.length > 0) return this.#mirror.apply(name, seq, record, isFresh)
    this.#removed(name, seq)
    // Its writer deletes it, or is dead.
    if (isOld) this.#graves.add(name, seq, at)
    return false
  }

  /** Forgets a record that was removed. */
  #removed(name: string, seq: number): void {
    this.#keep(name, undefined)
    this.#mirror.forget(name, seq)
  }

  /** Reads a message. @throws QueueError `corrupt`, `other-version` */
  decoded({ name, bytes }: Message): StoredRecord {
    return decode(bytes, `the entry ${name} of the queue ${this.#name}`)
  }

  async #newest(
    stream: Stream,
    name: string,
    isUncertain: boolean = false,
  ): Promise<(Kept & { write: string }) | undefined> {
    const kept = isUncertain ? undefined : this.#kept.get(name)
    if (kept !== undefined && kept.seq === this.#mirror.record(name)?.seq) return { ...kept, write: '' }
    return this.#load(stream, name)
  }

  async #load(stream: Stream, name: string): Promise<(Kept & { write: string }) | undefined> {
    const before = this.#mirror.record(name)?.seq
    const message = await stream.get(name)
    if (message === undefined) {
      if (before !== undefined) this.#removed(name, before)
      return undefined
    }
    const record = this.decoded(message)
    this.#took(name, message.seq, record, message.bytes.length)
    const { entries, origin, write } = record
    return { seq: message.seq, octets: message.bytes.length, entries, origin, write }
  }

  #took(name: string, seq: number, record: StoredRecord, octets: number): void {
    if (record.entries.length === 0) {
      this.#removed(name, seq)
      if (record.by === this.by) this.#graves.add(name, seq, Date.now())
      return
    }
    this.#mirror.apply(name, seq, record)
    this.#keep(name, { seq, octets, origin: record.origin, entries: record.entries })
  }

  #keep(name: string, kept: Kept | undefined): void {
    this.#keptOctets -= this.#kept.get(name)?.octets ?? 0
    this.#kept.delete(name)
    if (kept === undefined) return
    this.#kept.set(name, kept)
    this.#keptOctets += kept.octets
    for (const [oldest, { octets }] of this.#kept) {
      if (this.#keptOctets <= MAX_KEPT_OCTETS) return
      this.#kept.delete(oldest)
      this.#keptOctets -= octets
    }
  }

  /** Changes of one record by this process wait for each other, so that they are not in each other's way. */
  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work, work)
    this.#turns.set(name, turn)
    const ended = (): void => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name)
    }
    turn.then(ended, ended)
    return turn
  }

  /** Tries again while the server is away. */
  async #patiently<T>(patienceMs: number, work: (stream: Stream) => Promise<T>): Promise<T> {
    const deadline = performance.now() + patienceMs
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)) {
      try {
        return await work(await this.#link.stream(deadline))
      } catch (error) {
        const failure = failureOf(error, this.#name)
        if (failure.code !== 'unavailable' || this.#isClosed || performance.now() + waitMs >= deadline) throw failure
      }
      await new Promise((resolve) => {
        setTimeout(resolve, waitMs)
      })
    }
  }

  #busy(): QueueError {
    return new QueueError('busy', `the queue ${this.#name}: other servers change the same entry all the time`)
  }

  #tooLong(stream: Stream): QueueError {
    const most = `more than the max_payload of the NATS server, ${stream.maxPayload} bytes, has room for`
    return new QueueError('invalid', `entries: their recipients are ${most}; send the message to fewer at a time`)
  }
}

/** Marks an entry that is added to a record that is there. Its number is not known before it is written. */
const NEW = -1

export function newIn(entry: StoredEntry): StoredEntry {
  return { ...entry, first: NEW }
}

function isNew({ first }: StoredEntry): boolean {
  return first === NEW
}

function aged(entry: StoredEntry): StoredEntry {
  if (!isNew(entry)) return entry
  const { first: _, ...rest } = entry
  return rest
}
