/**
 * R2's binding as an {@link ObjectBucket}. Its calls cannot be stopped. If a call takes too long, the store stops
 * waiting for it.
 */
import type { KeyPage, ListOptions } from '../blob/contract.ts'
import { type ObjectBucket, type ObjectFacts, type Upload, WRITER, type WriterFacts } from '../bucket/contract.ts'
import { attachmentDisposition } from '../bucket/disposition.ts'
import type { SentObject } from '../bucket/object-reader.ts'
import { chunksOf } from '../bucket/stream.ts'
import type { Bucket, MultipartUpload, ObjectOptions, UploadedPart } from './binding.ts'
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

  async get(key: string): Promise<SentObject | undefined> {
    const object = await ask(() => this.#bucket.get(key), `can't read ${key}`)
    if (object === null) return undefined
    const { body, size } = object
    return {
      size,
      body: chunksOf(body),
      discard: () => body.cancel().catch(() => undefined),
      failure: (error) => r2Error(error, `can't read ${key}`),
    }
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

  async list(request: ListOptions & { readonly limit: number }): Promise<KeyPage> {
    const { prefix = '', delimiter, after, cursor, limit } = request
    const place = cursor === undefined ? after !== undefined && { startAfter: after } : { cursor }
    const options = { prefix, limit, ...(delimiter && { delimiter }), ...place }
    const page = await ask(() => this.#bucket.list(options), `can't list ${prefix}`)
    return {
      keys: page.objects.map(({ key }) => key),
      sizes: page.objects.map(({ size }) => size),
      prefixes: page.delimitedPrefixes,
      ...(page.truncated && page.cursor !== undefined && { cursor: page.cursor }),
    }
  }
}

/** R2 accepts no digest of a part, and no condition on the whole. */
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

function objectOptions({ writer, contentType, fileName }: WriterFacts): ObjectOptions {
  return {
    customMetadata: { [WRITER]: writer },
    httpMetadata: {
      ...(contentType !== undefined && { contentType }),
      ...(fileName !== undefined && { contentDisposition: attachmentDisposition(fileName) }),
    },
  }
}

async function ask<T>(call: () => Promise<T>, what: string): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw r2Error(error, what)
  }
}
