/**
 * One blob on its way to R2.
 *
 * R2 wants to know the length beforehand, and mail comes without one. So up to 5 MiB are gathered and put at one go, with
 * their SHA-256, on the condition that the key is free. What grows beyond that becomes a multipart upload with equal parts
 * of 5 MiB, each sent before more is taken: memory for one blob is one part, and its half while the buffer grows.
 *
 * A multipart upload takes no condition. The key is looked at right before the upload is completed, so a writer that comes
 * later hears `exists`; of two writers that complete within that moment the later one wins, and R2 can't tell. Keys of mail
 * are unique by their making. Of parts R2 takes no digest either; the size is compared, and a mail record has the SHA-256.
 *
 * What fails may have reached R2 all the same: each writer marks its blob with a name of its own, and takes back what bears it.
 */
import type { BlobWriter, WriteOptions } from '../blob.ts'
import { StorageError } from '../error.ts'
import type { Bucket, BucketObject, MultipartUpload, ObjectOptions, UploadedPart } from './bucket.ts'
import { r2Error } from './error.ts'

/** R2's least size of a part, and all but the last have to be equal. */
export const PART_BYTES: number = 5 * 1024 * 1024
/** R2's bound on parts. */
const MAX_PARTS = 10_000
const FIRST_BUFFER_BYTES = 64 * 1024

/** What the writers of one store may hold in memory, all of them together. */
export class Allowance {
  readonly #maxBytes: number
  #takenBytes = 0
  /** A Worker whose time is over stops in the middle, and gives nothing back: that is done once its writer was collected. */
  readonly #lost = new FinalizationRegistry<Share>((share) => share.give())

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** What one writer holds. */
  share(writer: object): Share {
    const share = new Share(this)
    this.#lost.register(writer, share)
    return share
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    if (this.#takenBytes + byteLength > this.#maxBytes) {
      throw new StorageError('no-space', `blobs under way hold ${this.#takenBytes} bytes of ${this.#maxBytes}`)
    }
    this.#takenBytes += byteLength
  }

  give(byteLength: number): void {
    this.#takenBytes -= byteLength
  }
}

class Share {
  readonly #allowance: Allowance
  #heldBytes = 0

  constructor(allowance: Allowance) {
    this.#allowance = allowance
  }

  /** @throws StorageError `no-space` */
  take(byteLength: number): void {
    this.#allowance.take(byteLength)
    this.#heldBytes += byteLength
  }

  /** Gives back so much, or all. */
  give(byteLength: number = this.#heldBytes): void {
    this.#allowance.give(byteLength)
    this.#heldBytes -= byteLength
  }
}

/** In an object's own metadata: who wrote it. */
const WRITER = 'postern-writer'

export class R2Writer implements BlobWriter {
  readonly #bucket: Bucket
  readonly #share: Share
  readonly #key: string
  readonly #announced: number | undefined
  readonly #name: string = crypto.randomUUID()
  readonly #options: ObjectOptions
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  #buffered = 0
  #size = 0
  #upload: MultipartUpload | undefined
  readonly #parts: UploadedPart[] = []
  #done = false
  /** What is under way; never rejects. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(bucket: Bucket, allowance: Allowance, key: string, { size, contentType }: WriteOptions) {
    this.#bucket = bucket
    this.#share = allowance.share(this)
    this.#key = key
    this.#announced = size
    this.#options = {
      customMetadata: { [WRITER]: this.#name },
      ...(contentType !== undefined && { httpMetadata: { contentType } }),
    }
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#done) throw this.#over()
    this.#size += bytes.length
    if (this.#buffered + bytes.length <= PART_BYTES) return this.#hold(bytes)
    return this.#follow(this.#spill(bytes))
  }

  async commit(): Promise<void> {
    if (this.#done) throw this.#over()
    this.#done = true
    await this.#follow(this.#commit())
  }

  async abort(): Promise<void> {
    this.#done = true
    await this.#pending
    await this.#drop()
  }

  #hold(bytes: Uint8Array): void {
    const needed = this.#buffered + bytes.length
    if (this.#buffer.length < needed) {
      const wanted = Math.max(needed, this.#announced ?? 0, FIRST_BUFFER_BYTES, this.#buffer.length * 2)
      const byteLength = Math.min(wanted, PART_BYTES)
      this.#share.take(byteLength)
      const larger = new Uint8Array(byteLength)
      larger.set(this.#buffer.subarray(0, this.#buffered))
      this.#share.give(this.#buffer.length)
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered = needed
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        if (this.#buffered === PART_BYTES) await this.#sendPart()
        // An abort while a part was on its way.
        if (this.#done) throw this.#over()
        const end = Math.min(bytes.length, at + PART_BYTES - this.#buffered)
        this.#hold(bytes.subarray(at, end))
        at = end
      }
    } catch (error) {
      this.#done = true
      await this.#drop()
      throw r2Error(error, `can't write ${this.#key}`)
    }
  }

  async #sendPart(): Promise<void> {
    if (this.#parts.length === MAX_PARTS) throw new StorageError('no-space', `${this.#key}: too large for R2`)
    this.#upload ??= await this.#bucket.createMultipartUpload(this.#key, this.#options)
    const part = await this.#upload.uploadPart(this.#parts.length + 1, this.#buffer.subarray(0, this.#buffered))
    this.#parts.push(part)
    this.#buffered = 0
  }

  async #commit(): Promise<void> {
    try {
      if (this.#announced !== undefined && this.#announced !== this.#size) {
        throw new StorageError('corrupt', `${this.#key}: ${this.#size} bytes came, not ${this.#announced}`)
      }
      const stored = this.#upload === undefined ? await this.#put() : await this.#complete(this.#upload)
      if (stored.size !== this.#size) {
        throw new StorageError('corrupt', `${this.#key}: R2 has ${stored.size} bytes of ${this.#size}`)
      }
      this.#upload = undefined
    } catch (error) {
      const failure = r2Error(error, `can't write ${this.#key}`)
      await this.#drop()
      if (failure.code !== 'exists') await this.#takeBack()
      throw failure
    } finally {
      this.#letGo()
    }
  }

  async #put(): Promise<BucketObject> {
    const bytes = this.#buffer.subarray(0, this.#buffered)
    const sha256 = await crypto.subtle.digest('SHA-256', bytes)
    const onlyIf = { etagDoesNotMatch: '*' }
    const stored = await this.#bucket.put(this.#key, bytes, { ...this.#options, onlyIf, sha256 })
    if (stored === null) throw this.#taken()
    return stored
  }

  async #complete(upload: MultipartUpload): Promise<BucketObject> {
    if (this.#buffered > 0) await this.#sendPart()
    if ((await this.#bucket.head(this.#key)) !== null) throw this.#taken()
    return upload.complete(this.#parts)
  }

  /** Lets go of memory and of the upload. Never rejects: R2 itself removes uploads that nobody completes, after a week. */
  async #drop(): Promise<void> {
    this.#letGo()
    const upload = this.#upload
    this.#upload = undefined
    await upload?.abort().catch(() => undefined)
  }

  #letGo(): void {
    this.#share.give()
    this.#buffer = new Uint8Array(0)
    this.#buffered = 0
  }

  /** Removes the blob if it is this writer's: its failure may have been that of an answer on its way back. Never rejects. */
  async #takeBack(): Promise<void> {
    try {
      const found = await this.#bucket.head(this.#key)
      if (found?.customMetadata?.[WRITER] === this.#name) await this.#bucket.delete(this.#key)
    } catch {
      // Then nobody knows. Bytes without an envelope are swept.
    }
  }

  #follow(work: Promise<void>): Promise<void> {
    this.#pending = work.catch(() => undefined)
    return work
  }

  #taken(): StorageError {
    return new StorageError('exists', `there is a blob ${this.#key}`)
  }

  #over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.#key} is done`)
  }
}
