/**
 * One blob on its way into a bucket.
 *
 * A bucket wants to know lengths beforehand, and mail comes without one. So up to 5 MiB are gathered and put at one go, on
 * the condition that the key is free. What grows beyond that becomes a multipart upload with equal parts of 5 MiB. While
 * one part is on its way the next is gathered, where memory is ample; so a blob never holds more than two parts.
 *
 * Not every server takes a condition on a multipart upload. So the key is looked at right before the upload is completed,
 * and a writer that comes later hears `exists`; of two that complete within that moment the later one wins, and so, unless keys are
 * unique by their making, as those of mail are, a writer waits a moment, and looks whether it still is the one.
 *
 * What seemed to fail may have reached the bucket all the same, with the answer lost on its way back. So each writer
 * marks its object with a name of its own: by it it knows an object that is there for its own, when it tries again,
 * and takes it back, when it has given up.
 */
import type { WriteOptions } from '../blob/contract.ts'
import type { Allowance } from '../blob/allowance.ts'
import { BufferedWriter } from '../blob/buffered-writer.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import type { ObjectBucket, ObjectFacts, Upload, WriterFacts } from './contract.ts'
import { type Attempt, type Patience, persistently, settle, TransientError } from './retry.ts'

/** The least size of a part, in S3 and R2; all but the last are equal. */
export const PART_BYTES: number = 5 * 1024 * 1024
/** The most parts. */
const MAX_PARTS = 10_000
/** Tidying up is worth a second try, but nobody's patience. */
const TIDYING_MS = 10_000

/** What the writers of one store share. */
export interface ObjectWriterDeps {
  readonly bucket: ObjectBucket
  readonly allowance: Allowance
  readonly patience: Patience
}

export class ObjectWriter extends BufferedWriter {
  readonly #bucket: ObjectBucket
  readonly #facts: WriterFacts
  readonly #patience: Patience
  #upload: Upload | undefined
  #partCount = 0
  /** The part on its way; never rejects: it answers with the failure. */
  #sending: Promise<unknown> = Promise.resolve()
  /** A second buffer, while the first is on its way; the first again, once it arrived. */
  #spare: Uint8Array<ArrayBuffer> | undefined
  /** Whether there may be an object of ours: an answer was lost. */
  #isUnsure = false
  readonly #stop = new AbortController()
  /** When a commit has to be done, with all that it asks; by `performance.now()`. */
  #endsAt = Infinity
  /** Giving up an upload that was begun when nobody waited for it any more; never rejects. */
  #late: Promise<void> | undefined

  constructor({ allowance, bucket, patience }: ObjectWriterDeps, key: string, options: WriteOptions) {
    super({ name: key, size: options.size, pieceBytes: PART_BYTES, allowance })
    this.#bucket = bucket
    this.#patience = patience
    const { contentType, hasUniqueKey = false } = options
    this.#facts = { writer: crypto.randomUUID(), contentType, hasUniqueKey }
  }

  protected override async finish(): Promise<void> {
    this.#endsAt = performance.now() + this.#patience.deadlineMs
    try {
      if (this.#upload === undefined) await this.#put(this.held.view)
      else await this.#complete(this.#upload)
    } catch (error) {
      if (this.#isUnsure && !isStorageError(error, 'exists')) await this.#takeBack()
      throw error
    }
  }

  protected override async drop(): Promise<void> {
    const upload = this.#upload
    this.#upload = undefined
    await this.#sending
    this.#spare = undefined
    await super.drop()
    // What can't be given up now is swept later.
    const late = this.#late
    this.#late = undefined
    if (late !== undefined) await this.#tidy(() => late)
    if (upload !== undefined) await this.#tidy((signal) => upload.abort(signal))
  }

  protected override hasten(): void {
    this.#stop.abort()
  }

  protected override failure(error: unknown): StorageError {
    if (!(error instanceof StorageError)) {
      return new StorageError('unavailable', `can't write ${this.name}: ${String(error)}`, { cause: error })
    }
    // What is missing is the bucket or the upload: for who writes a blob, that is no `not-found`.
    return error.code === 'not-found' ? new StorageError('unavailable', error.message, { cause: error }) : error
  }

  async #put(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const isNew = await this.#persist((signal) => this.#bucket.put(this.name, bytes, this.#facts, signal))
    if (!isNew && !(this.#isUnsure && (await this.#isOurs()))) throw this.#taken()
  }

  /** Sends the full buffer on its way, once the part before it has arrived, and goes on with another, where there is room for one. */
  protected override async handOn(): Promise<void> {
    this.#upload ??= await this.#persist((signal) => this.#begin(signal))
    await this.#arrived()
    const full = this.held.view
    const other = this.#takeSpare() ?? this.#second()
    const sending = this.#send(this.#upload, full)
    this.#sending = sending
      .then((free) => void (this.#spare = free ?? new Uint8Array(PART_BYTES)))
      .catch((error: unknown) => error)
    if (other === undefined) await this.#arrived()
    this.held.empty(other ?? this.#takeSpare())
  }

  #takeSpare(): Uint8Array<ArrayBuffer> | undefined {
    const spare = this.#spare
    this.#spare = undefined
    return spare
  }

  async #begin(signal: AbortSignal): Promise<Upload> {
    const begun = this.#bucket.createUpload(this.name, this.#facts, signal)
    const giveUp = async (): Promise<void> => {
      const upload = await begun
      if (signal.aborted) await upload.abort(new AbortController().signal)
    }
    this.#late = giveUp().catch(() => undefined)
    return begun
  }

  #second(): Uint8Array<ArrayBuffer> | undefined {
    return this.share.takeIfAmple(PART_BYTES) ? new Uint8Array(PART_BYTES) : undefined
  }

  /** @returns the buffer, unless an attempt may still read it: calls of R2 go on when they were given up, and may arrive late. */
  async #send(upload: Upload, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const partNumber = ++this.#partCount
    if (partNumber > MAX_PARTS) throw new StorageError('no-space', `${this.name}: too large for a bucket`)
    let readers = 0
    await this.#persist(async (signal) => {
      readers++
      try {
        await upload.send(partNumber, bytes, signal)
      } finally {
        readers--
      }
    })
    return readers === 0 ? bytes : undefined
  }

  async #arrived(): Promise<void> {
    const failure = await this.#sending
    if (failure !== undefined) throw failure
  }

  async #complete(upload: Upload): Promise<void> {
    await this.#arrived()
    if (this.held.view.length > 0) await this.#send(upload, this.held.view)
    const lookedAt = performance.now()
    if ((await this.#head()) !== undefined) throw this.#taken()
    this.#isUnsure = false
    try {
      const isNew = await this.#persist((signal) => upload.complete(signal))
      if (!isNew && !this.#isUnsure) throw this.#taken()
    } catch (error) {
      // Completed before, by an attempt whose answer was lost, an upload is no more.
      if (!this.#isUnsure || !isStorageError(error, 'not-found')) throw error
    }
    // From here on there is something to be taken back.
    this.#isUnsure = true
    if (!this.#facts.hasUniqueKey) await settle(lookedAt, this.#stop.signal)
    const stored = await this.#head()
    if (stored !== undefined && stored.writer !== this.#facts.writer) throw this.#taken()
    if (stored?.size !== this.size) {
      throw new StorageError('corrupt', `${this.name}: ${stored?.size ?? 0} bytes are stored of ${this.size}`)
    }
    this.#upload = undefined
  }

  #head(): Promise<ObjectFacts | undefined> {
    return this.#ask((signal) => this.#bucket.head(this.name, signal))
  }

  async #isOurs(): Promise<boolean> {
    return (await this.#head())?.writer === this.#facts.writer
  }

  /** Does something that changes the bucket, until it is answered. */
  async #persist<T>(work: Attempt<T>): Promise<T> {
    const attempt = async (signal: AbortSignal): Promise<T> => {
      const wasUnsure = this.#isUnsure
      const answered = (): void => void (signal.aborted || (this.#isUnsure = wasUnsure))
      this.#isUnsure = true
      try {
        const answer = await work(signal)
        answered()
        return answer
      } catch (error) {
        if (!(error instanceof TransientError)) answered()
        throw error
      }
    }
    return this.#ask(attempt)
  }

  #ask<T>(attempt: Attempt<T>): Promise<T> {
    const leftMs = Math.max(1, this.#endsAt - performance.now())
    const deadlineMs = Math.min(this.#patience.deadlineMs, leftMs)
    return persistently(attempt, { ...this.#patience, deadlineMs }, this.#stop.signal)
  }

  /** Removes the object if it is this writer's: its failure may have been that of an answer on its way back. */
  #takeBack(): Promise<void> {
    return this.#tidy(async (signal) => {
      const found = await this.#bucket.head(this.name, signal)
      if (found?.writer === this.#facts.writer) await this.#bucket.delete(this.name, signal)
    })
  }

  /** Never rejects: bytes without an envelope are swept, and so are uploads. */
  async #tidy(work: Attempt<void>): Promise<void> {
    const deadlineMs = Math.min(TIDYING_MS, this.#patience.deadlineMs)
    await persistently(work, { ...this.#patience, deadlineMs }).catch(() => undefined)
  }

  #taken(): StorageError {
    return new StorageError('exists', `there is a blob ${this.name}`)
  }
}
