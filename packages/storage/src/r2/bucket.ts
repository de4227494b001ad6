/** R2's binding as an {@link ObjectBucket}. Its calls can't be stopped; nobody waits for one that has no time left. */
import type { BlobReader, KeyPage, ListOptions } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { type ObjectBucket, type ObjectFacts, type Upload, WRITER, type WriterFacts } from '../bucket/contract.ts'
import type { Bucket, BucketBody, MultipartUpload, ObjectOptions, UploadedPart } from './binding.ts'
import { r2Error } from './error.ts'

export class R2Bucket implements ObjectBucket {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    const object = await ask(() => this.#bucket.head(key), `can't look at ${key}`)
    if (object === null) return undefined
    return { size: object.size, modifiedAt: object.uploaded, writer: object.customMetadata?.[WRITER] }
  }

  async get(key: string): Promise<BlobReader | undefined> {
    const object = await ask(() => this.#bucket.get(key), `can't read ${key}`)
    return object === null ? undefined : new R2Reader(key, object)
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>, facts: WriterFacts): Promise<boolean> {
    const sha256 = await crypto.subtle.digest('SHA-256', bytes)
    const options = { ...objectOptions(facts), onlyIf: { etagDoesNotMatch: '*' }, sha256 }
    return (await ask(() => this.#bucket.put(key, bytes, options), `can't write ${key}`)) !== null
  }

  async createUpload(key: string, facts: WriterFacts): Promise<Upload> {
    const upload = await ask(() => this.#bucket.createMultipartUpload(key, objectOptions(facts)), `can't write ${key}`)
    return new R2Upload(key, upload)
  }

  async delete(key: string): Promise<void> {
    await ask(() => this.#bucket.delete(key), `can't delete ${key}`)
  }

  async list({ prefix = '', delimiter, cursor, limit }: ListOptions & { readonly limit: number }): Promise<KeyPage> {
    const options = { prefix, limit, ...(delimiter && { delimiter }), ...(cursor !== undefined && { cursor }) }
    const page = await ask(() => this.#bucket.list(options), `can't list ${prefix}`)
    return {
      keys: page.objects.map(({ key }) => key),
      sizes: page.objects.map(({ size }) => size),
      prefixes: page.delimitedPrefixes,
      ...(page.truncated && page.cursor !== undefined && { cursor: page.cursor }),
    }
  }
}

/** R2 takes no digest of a part, and no condition on the whole. */
class R2Upload implements Upload {
  readonly #what: string
  readonly #upload: MultipartUpload
  readonly #parts: UploadedPart[] = []

  constructor(key: string, upload: MultipartUpload) {
    this.#what = `can't write ${key}`
    this.#upload = upload
  }

  async send(partNumber: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#parts[partNumber - 1] = await ask(() => this.#upload.uploadPart(partNumber, bytes), this.#what)
  }

  async complete(): Promise<boolean> {
    await ask(() => this.#upload.complete(this.#parts), this.#what)
    return true
  }

  abort(): Promise<void> {
    return ask(() => this.#upload.abort(), this.#what)
  }
}

class R2Reader implements BlobReader {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  readonly #object: BucketBody
  #isTaken = false

  constructor(key: string, object: BucketBody) {
    this.size = object.size
    this.#object = object
    this.body = this.#pieces(key)
  }

  async close(): Promise<void> {
    if (this.#isTaken) return
    this.#isTaken = true
    await this.#object.body.cancel().catch(() => undefined)
  }

  async *#pieces(key: string): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) return
    this.#isTaken = true
    const reader = this.#object.body.getReader()
    let left = this.size
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done || value === undefined) break
        left -= value.length
        if (value.length > 0) yield value
      }
      if (left !== 0) throw new StorageError('unavailable', `can't read ${key}: R2 ended ${left} bytes early`)
    } catch (error) {
      throw r2Error(error, `can't read ${key}`)
    } finally {
      // Of what was read to its end there is nothing left to cancel.
      if (left > 0) await reader.cancel().catch(() => undefined)
    }
  }
}

function objectOptions({ writer, contentType }: WriterFacts): ObjectOptions {
  return { customMetadata: { [WRITER]: writer }, ...(contentType !== undefined && { httpMetadata: { contentType } }) }
}

async function ask<T>(call: () => Promise<T>, what: string): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw r2Error(error, what)
  }
}
