/**
 * Writes one blob into a bucket.
 *
 * A bucket must know the length beforehand, and mail comes without one. So the writer gathers up to 5 MiB and puts them
 * in one request, on the condition that the key is free. A larger blob becomes a multipart upload with equal parts of 5
 * MiB. While one part is sent, the writer gathers the next if there is enough memory. So a blob never holds more than
 * two parts.
 *
 * Some servers accept no condition on a multipart upload. So the writer looks at the key right before it completes the
 * upload, and fails with `exists` if there is an object. If two writers complete at the same moment, the later one
 * wins. So a writer waits a moment and looks if the object is its own. It does not wait if its key is unique, as the
 * keys of mail are.
 *
 * If a request seemed to fail, it may still have reached the bucket, and only its answer was lost. So each writer marks
 * its object with its own identifier. With it the writer recognises its object when it retries, and removes the object
 * if it fails at last.
 */
import type { WriteOptions } from '../blob/contract.ts'
import type { Allowance } from '../blob/allowance.ts'
import { BufferedWriter } from '../blob/buffered-writer.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import type { ObjectBucket, ObjectFacts, Upload, WriterFacts } from './contract.ts'
import { type Attempt, type Patience, persistently, settle, TransientError } from './retry.ts'

/** The least size of a part, in S3 and R2. All parts but the last have the same size. */
export const PART_BYTES: number = 5 * 1024 * 1024
/** The greatest number of parts. */
const MAX_PARTS = 10_000
/** The time for removing leftovers, with all retries. */
const TIDYING_MS = 10_000

/** What all writers of one store share. */
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
  /** The part that is being sent. Never rejects: it resolves to the failure. */
  #sending: Promise<unknown> = Promise.resolve()
  /** The free buffer: a second one while the first is sent, then the first again. */
  #spare: Uint8Array<ArrayBuffer> | undefined
  /** True if there may be an object of this writer, because an answer was lost. */
  #isUnsure = false
  readonly #stop = new AbortController()
  /** The deadline of a commit with all its requests, by `performance.now()`. */
  #endsAt = Infinity
  /** Aborts an upload if the answer to its first request came after the writer had stopped waiting. Never rejects. */
  #late: Promise<void> | undefined

  constructor({ allowance, bucket, patience }: ObjectWriterDeps, key: string, options: WriteOptions) {
    super({ name: key, size: options.size, pieceBytes: PART_BYTES, allowance })
    this.#bucket = bucket
    this.#patience = patience
    const { contentType, fileName, hasUniqueKey = false } = options
    this.#facts = { writer: crypto.randomUUID(), contentType, fileName, hasUniqueKey }
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
    // What cannot be aborted now is aborted later by a sweep.
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
    // A missing bucket or upload is not the writer's fault, so it gets `unavailable`, not `not-found`.
    return error.code === 'not-found' ? new StorageError('unavailable', error.message, { cause: error }) : error
  }

  async #put(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const isNew = await this.#persist((signal) => this.#bucket.put(this.name, bytes, this.#facts, signal))
    if (!isNew && !(this.#isUnsure && (await this.#isOurs()))) throw this.#taken()
  }

  /** Sends the full buffer when the part before it has arrived. Goes on with another buffer if there is memory for one. */
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

  /**
   * Sends a part.
   * @returns the buffer, unless an attempt may still read it. Calls of R2 cannot be stopped, and may end late
   */
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
      // If an earlier attempt completed the upload and its answer was lost, the upload is gone.
      if (!this.#isUnsure || !isStorageError(error, 'not-found')) throw error
    }
    // From here on there may be an object to remove after a failure.
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

  /** Sends a request that changes the bucket, and retries until it is answered. */
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

  /** Removes the object if it is this writer's. The request may have succeeded, and only its answer was lost. */
  #takeBack(): Promise<void> {
    return this.#tidy(async (signal) => {
      const found = await this.#bucket.head(this.name, signal)
      if (found?.writer === this.#facts.writer) await this.#bucket.delete(this.name, signal)
    })
  }

  /** Removes leftovers. Never rejects, because a sweep removes what is left: bytes without an envelope, and uploads. */
  async #tidy(work: Attempt<void>): Promise<void> {
    const deadlineMs = Math.min(TIDYING_MS, this.#patience.deadlineMs)
    await persistently(work, { ...this.#patience, deadlineMs }).catch(() => undefined)
  }

  #taken(): StorageError {
    return new StorageError('exists', `there is a blob ${this.name}`)
  }
}
