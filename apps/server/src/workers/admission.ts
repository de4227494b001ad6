/**
 * Counts connections over all workers exactly: any worker accepts connection N, and every worker refuses connection N +
 * 1.
 *
 * The counts are in shared memory. There is one count for each worker. For each address there is a table entry with a
 * count for each worker. So the counts of a worker that died can be removed. There are never more addresses than
 * connections, so the table can get full only with more than {@link MAX_ADDRESSES} connections. Then an address that is
 * not in the table is refused.
 */
import { addressKey, type AdmissionLimits, type Endpoint, hasPlace, type Place, type Places } from '@postern/engine'
import { type Hash, randomKey } from './hash.ts'
import { SharedLock } from './lock.ts'
import { HASH_WORDS, SharedTable } from './table.ts'

/** The greatest number of addresses in the table. */
const MAX_ADDRESSES = 2 ** 19
/** The words are: the lock, the number of addresses, the connections of each worker, its submission connections, the table. */
const LOCK = 0
const ADDRESSES = 1
const TOTALS = 2
/** Much longer than any thread normally holds the lock. */
const LOCK_PATIENCE_MS = 1_000

/** What workers share to count connections. It can be sent to a thread. */
export interface AdmissionMemory {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly hashKey: Hash
  readonly limits: AdmissionLimits
  readonly workerCount: number
}

/** Makes the shared memory. */
export function admissionMemory(
  { maxConnections, maxConnectionsPerAddress, keepsForSubmission = false }: AdmissionLimits,
  workerCount: number,
): AdmissionMemory {
  // At most half of the entries are in use, so that a search is short.
  const entries = 2 ** Math.ceil(Math.log2(2 * Math.min(maxConnections, MAX_ADDRESSES)))
  const length = TOTALS + 2 * workerCount + entries * (HASH_WORDS + workerCount)
  return {
    words: new Int32Array(new SharedArrayBuffer(length * Int32Array.BYTES_PER_ELEMENT)),
    hashKey: randomKey(),
    limits: { maxConnections, maxConnectionsPerAddress, keepsForSubmission },
    workerCount,
  }
}

/** Gives out the places in one worker. */
export class SharedAdmission implements Places {
  readonly #words: Int32Array
  readonly #limits: AdmissionLimits
  readonly #workerCount: number
  readonly #worker: number
  readonly #lock: SharedLock
  readonly #submissions: number
  /** Each entry has a count for each worker. */
  readonly #table: SharedTable

  constructor({ words, hashKey, limits, workerCount }: AdmissionMemory, worker: number) {
    this.#words = words
    this.#limits = limits
    this.#workerCount = workerCount
    this.#worker = worker
    this.#lock = new SharedLock(words, LOCK, LOCK_PATIENCE_MS)
    this.#submissions = TOTALS + workerCount
    this.#table = new SharedTable(words, hashKey, this.#submissions + workerCount, HASH_WORDS + workerCount)
  }

  /** The number of connections in all workers. */
  get total(): number {
    return this.#sum(TOTALS)
  }

  enter(remote: Endpoint, isSubmission: boolean = false, instead?: Place): Place | undefined {
    const seat = new Seat(this, this.#hashOf(remote), isSubmission)
    const given = instead instanceof Seat ? instead : undefined
    return this.#lock.run(() => this.#enter(seat, given)) ? seat : undefined
  }

  count(remote: Endpoint): number {
    const hash = this.#hashOf(remote)
    return hash === undefined ? 0 : this.#lock.run(() => this.#countOf(this.#table.find(hash)))
  }

  /** Gives a place back. */
  leave(seat: Seat): void {
    this.#lock.run(() => this.#give(seat))
  }

  /** Gives back all places of a worker that has ended. */
  forget(worker: number): void {
    this.#lock.run(() => {
      const words = this.#words
      words[TOTALS + worker] = 0
      words[this.#submissions + worker] = 0
      words[ADDRESSES] = this.#table.filter((at) => {
        words[at + HASH_WORDS + worker] = 0
        return this.#countOf(at) > 0
      })
    })
  }

  /** Takes a place for `seat`, in exchange for `given` if there is one. Returns whether there was a place. */
  #enter(seat: Seat, given: Seat | undefined): boolean {
    const isInstead = given !== undefined && this.#give(given)
    const { hash, isSubmission } = seat
    const ofAddress = hash === undefined ? 0 : this.#countOf(this.#table.find(hash))
    const occupancy = { total: this.total, submissions: this.#sum(this.#submissions), ofAddress }
    const isFull = ofAddress === 0 && hash !== undefined && (this.#words[ADDRESSES] as number) >= MAX_ADDRESSES
    if (!isFull && hasPlace(this.#limits, occupancy, isSubmission, isInstead)) {
      this.#take(seat)
      return true
    }
    if (isInstead) this.#take(given)
    return false
  }

  #take(seat: Seat): void {
    const { hash, isSubmission } = seat
    const words = this.#words
    seat.isTaken = true
    if (hash !== undefined) {
      const at = this.#table.find(hash)
      if (this.#table.isFree(at)) {
        words[ADDRESSES] = (words[ADDRESSES] as number) + 1
        words[at] = hash[0]
        words[at + 1] = hash[1]
      }
      this.#count(at + HASH_WORDS, 1)
    }
    this.#count(TOTALS, 1)
    if (isSubmission) this.#count(this.#submissions, 1)
  }

  /** Frees a seat. Returns whether it was taken. */
  #give(seat: Seat): boolean {
    const { hash, isSubmission, isTaken } = seat
    if (!isTaken) return false
    seat.isTaken = false
    this.#count(TOTALS, -1)
    if (isSubmission) this.#count(this.#submissions, -1)
    if (hash === undefined) return true
    const at = this.#table.find(hash)
    // If a thread was killed inside the lock, an entry may be missing. The other entries must stay correct.
    if (this.#table.isFree(at)) return true
    this.#count(at + HASH_WORDS, -1)
    if (this.#countOf(at) > 0) return true
    this.#table.remove(at)
    this.#words[ADDRESSES] = (this.#words[ADDRESSES] as number) - 1
    return true
  }

  /** Returns the connections of an entry, in all workers. */
  #countOf(at: number): number {
    return this.#sum(at + HASH_WORDS)
  }

  #hashOf(remote: Endpoint): Hash | undefined {
    const key = addressKey(remote)
    return key === '' ? undefined : this.#table.hashOf(key)
  }

  /** Adds the counts of all workers from this word on. */
  #sum(at: number): number {
    let sum = 0
    for (let worker = 0; worker < this.#workerCount; worker++) sum += this.#words[at + worker] as number
    return sum
  }

  #count(at: number, more: number): void {
    const own = at + this.#worker
    this.#words[own] = (this.#words[own] as number) + more
  }
}

/** A place in one worker. */
class Seat implements Place {
  readonly hash: Hash | undefined
  readonly isSubmission: boolean
  isTaken = false
  readonly #admission: SharedAdmission

  constructor(admission: SharedAdmission, hash: Hash | undefined, isSubmission: boolean) {
    this.#admission = admission
    this.hash = hash
    this.isSubmission = isSubmission
  }

  leave(): void {
    if (this.isTaken) this.#admission.leave(this)
  }
}
