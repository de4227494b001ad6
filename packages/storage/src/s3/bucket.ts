/** An S3 bucket, or the part of one below a prefix, as an {@link ObjectBucket}. */
import { isKey, type KeyPage, type LinkOptions, type ListOptions, MAX_KEY_BYTES } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { type ObjectBucket, type ObjectFacts, type Upload, WRITER, type WriterFacts } from '../bucket/contract.ts'
import type { SentObject } from '../bucket/object-reader.ts'
import { attachmentDisposition } from '../bucket/disposition.ts'
import { settle } from '../bucket/retry.ts'
import { checkedEtag, found, isNew, isNotImplemented } from './answers.ts'
import type { S3Client } from './client.ts'
import { connectionError } from './error.ts'
import type { Query } from './location.ts'
import type { HttpAnswer } from './transport.ts'
import { S3Upload } from './upload.ts'
import { elements, textOf } from './xml.ts'

const WRITER_HEADER = `x-amz-meta-${WRITER}`
/** The time for a look if an object still exists, after its body broke off. */
const LOOK_MS = 5_000
/** The number of uploads that one request lists. */
const UPLOADS_PAGE = 1000

export class S3Bucket implements ObjectBucket {
  readonly #client: S3Client
  readonly #prefix: string
  /** Some servers, such as Swift, refuse every put with a condition. */
  #hasConditionalPut = true

  constructor(client: S3Client) {
    this.#client = client
    this.#prefix = client.location.prefix
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    const what = `can't look at ${key}`
    const answer = await found(this.#client.tell({ method: 'HEAD', key: this.#full(key), signal, what }))
    if (answer === undefined) return undefined
    const modifiedAt = new Date(answer.header('last-modified') ?? '')
    return { size: sizeIn(answer, what), modifiedAt, writer: answer.header(WRITER_HEADER) }
  }

  async get(key: string, signal: AbortSignal): Promise<SentObject | undefined> {
    const what = `can't read ${key}`
    const answer = await found(this.#client.send({ method: 'GET', key: this.#full(key), signal, what }))
    if (answer === undefined) return undefined
    try {
      return {
        size: sizeIn(answer, what),
        body: answer.body,
        discard: () => answer.discard(),
        failure: (error) => this.#readFailure(key, error, what),
      }
    } catch (error) {
      answer.discard()
      throw error
    }
  }

  async put(key: string, body: Uint8Array<ArrayBuffer>, facts: WriterFacts, signal: AbortSignal): Promise<boolean> {
    if (this.#hasConditionalPut) {
      try {
        return await this.#put(key, body, facts, signal, { 'if-none-match': '*' })
      } catch (error) {
        if (!isNotImplemented(error)) throw error
      }
    }
    // Without a condition, the writer can only look before it writes. An upload of one part would not be better,
    // although its completion takes a condition: Swift looks before it writes, so if several writers complete at the
    // same moment, each is told that it was first.
    const lookedAt = performance.now()
    if ((await this.head(key, signal)) !== undefined) return false
    if (!(await this.#put(key, body, facts, signal, {}))) return false
    // Remembered only after the put succeeded, because the server may not have implemented another part of the request.
    this.#hasConditionalPut = false
    if (facts.hasUniqueKey) return true
    await settle(lookedAt, signal)
    return (await this.head(key, signal))?.writer === facts.writer
  }

  async createUpload(key: string, facts: WriterFacts, signal: AbortSignal): Promise<Upload> {
    const what = `can't write ${key}`
    const place = { key: this.#full(key), what }
    const request = { method: 'POST', ...place, query: { uploads: '' }, headers: this.#headers(facts), signal } as const
    const xml = await this.#client.ask(request, 'InitiateMultipartUploadResult')
    const uploadId = textOf(xml, 'UploadId')
    if (uploadId === undefined || uploadId === '') throw new StorageError('unavailable', `${what}: S3 gave no UploadId`)
    return new S3Upload(this.#client, place, uploadId)
  }

  /** Returns the error of a body that broke off. Some servers break off the body of an object that is being deleted. */
  async #readFailure(key: string, error: unknown, what: string): Promise<StorageError> {
    // If the look fails too, the object may still exist.
    const isThere = await this.head(key, AbortSignal.timeout(LOOK_MS)).then(
      (found) => found !== undefined,
      () => true,
    )
    if (isThere) return connectionError(error, what)
    return new StorageError('not-found', `${what}: it was deleted meanwhile`, { cause: error })
  }

  async #put(
    key: string,
    body: Uint8Array<ArrayBuffer>,
    facts: WriterFacts,
    signal: AbortSignal,
    condition: Record<string, string>,
  ): Promise<boolean> {
    const headers = { ...this.#headers(facts), ...condition }
    const what = `can't write ${key}`
    const told = this.#client.tell({ method: 'PUT', key: this.#full(key), headers, body, signal, what })
    return isNew(told.then((answer) => checkedEtag(answer.header('etag'), what)))
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await found(this.#client.tell({ method: 'DELETE', key: this.#full(key), signal, what: `can't delete ${key}` }))
  }

  link(key: string, { expiresInMs, contentType, fileName }: LinkOptions): Promise<string> {
    return this.#client.presigned(this.#full(key), Math.floor(expiresInMs / 1000), {
      'response-content-type': contentType,
      'response-content-disposition': attachmentDisposition(fileName),
    })
  }

  async list(options: ListOptions & { readonly limit: number }, signal: AbortSignal): Promise<KeyPage> {
    const { prefix = '', delimiter, after, cursor, limit } = options
    const query = {
      'list-type': '2',
      'max-keys': String(limit),
      prefix: this.#prefix + prefix,
      delimiter,
      'start-after': after === undefined || cursor !== undefined ? undefined : this.#prefix + after,
      'continuation-token': cursor,
    }
    const what = `can't list ${prefix || 'the bucket'}`
    const xml = await this.#client.ask({ method: 'GET', key: '', query, signal, what }, 'ListBucketResult')
    const contents = elements(xml, 'Contents')
      .map((item) => ({ key: this.#own(textOf(item, 'Key')), size: Number(textOf(item, 'Size')) }))
      .filter(({ key }) => isKey(key))
    const next = textOf(xml, 'IsTruncated') === 'true' ? (textOf(xml, 'NextContinuationToken') ?? '') : undefined
    // A server that knows only the first version of listings gives this answer.
    if (next === '') throw new StorageError('unavailable', `${what}: S3 says that there are more keys, but not where`)
    return {
      keys: contents.map(({ key }) => key),
      sizes: contents.map(({ size }) => size),
      prefixes: elements(xml, 'CommonPrefixes')
        .map((item) => this.#own(textOf(item, 'Prefix')))
        .filter((folder) => isKey(folder.slice(0, -1))),
      ...(next !== undefined && { cursor: next }),
    }
  }

  async sweepUploads(before: number, signal: AbortSignal): Promise<number> {
    const what = "can't sweep uploads"
    let count = 0
    let marks: Readonly<Record<string, string | undefined>> = {}
    for (;;) {
      const query = { uploads: '', prefix: this.#prefix, 'max-uploads': String(UPLOADS_PAGE), ...marks }
      const page = await this.#uploads(query, signal)
      for (const { key, uploadId, begunAt } of page.uploads) {
        if (!(begunAt < before) || !isKey(this.#own(key)) || uploadId === '') continue
        await new S3Upload(this.#client, { key, what }, uploadId).abort(signal)
        count++
      }
      const last = page.uploads.at(-1)
      if (!page.isTruncated || last === undefined || last.uploadId === marks['upload-id-marker']) return count
      marks = { 'key-marker': last.key, 'upload-id-marker': last.uploadId }
    }
  }

  /** Returns a page of unfinished uploads. R2 cannot list them and aborts them without help; then the page is empty. */
  async #uploads(query: Query, signal: AbortSignal): Promise<UploadPage> {
    try {
      const xml = await this.#client.ask(
        { method: 'GET', key: '', query, signal, what: "can't list uploads" },
        'ListMultipartUploadsResult',
      )
      const uploads = elements(xml, 'Upload').map((upload) => ({
        key: textOf(upload, 'Key') ?? '',
        uploadId: textOf(upload, 'UploadId') ?? '',
        begunAt: Date.parse(textOf(upload, 'Initiated') ?? ''),
      }))
      return { uploads, isTruncated: textOf(xml, 'IsTruncated') === 'true' }
    } catch (error) {
      if (isNotImplemented(error)) return { uploads: [], isTruncated: false }
      throw error
    }
  }

  /**
   * Returns the key with the prefix. @throws StorageError `invalid-key` here, because some servers answer 500, which
   * would be retried
   */
  #full(key: string): string {
    const full = this.#prefix + key
    if (full.length <= MAX_KEY_BYTES) return full
    throw new StorageError(
      'invalid-key',
      `with its prefix, ${full.slice(0, 80)}… is longer than ${MAX_KEY_BYTES} bytes`,
    )
  }

  /** Returns the key without the prefix; '' if it does not begin with the prefix. */
  #own(key: string | undefined): string {
    return key?.startsWith(this.#prefix) === true ? key.slice(this.#prefix.length) : ''
  }

  #headers({ writer, contentType, fileName }: WriterFacts): Record<string, string> {
    const { encryption } = this.#client.location
    const sse = 'x-amz-server-side-encryption'
    return {
      [WRITER_HEADER]: writer,
      ...(contentType !== undefined && { 'content-type': contentType }),
      ...(fileName !== undefined && { 'content-disposition': attachmentDisposition(fileName) }),
      ...(typeof encryption === 'string' && { [sse]: encryption }),
      ...(typeof encryption === 'object' && { [sse]: 'aws:kms', [`${sse}-aws-kms-key-id`]: encryption.kmsKeyId }),
    }
  }
}

interface UploadPage {
  readonly uploads: readonly { readonly key: string; readonly uploadId: string; readonly begunAt: number }[]
  readonly isTruncated: boolean
}

function sizeIn(answer: HttpAnswer, what: string): number {
  const size = Number(answer.header('content-length') ?? 'none')
  if (!Number.isSafeInteger(size)) throw new StorageError('unavailable', `${what}: S3 did not give its length`)
  return size
}
