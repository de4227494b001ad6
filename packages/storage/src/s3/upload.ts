/** A multipart upload. */
import type { Upload } from '../bucket/contract.ts'
import { checkedEtag, found, isNew, isNotImplemented } from './answers.ts'
import type { S3Client } from './client.ts'
import { encoded } from './xml.ts'

const COMPLETED = 'CompleteMultipartUploadResult'

/** The object that an upload makes. */
export interface Place {
  /** With the prefix. */
  readonly key: string
  readonly what: string
}

export class S3Upload implements Upload {
  readonly #client: S3Client
  readonly #place: Place
  readonly #uploadId: string
  readonly #etags: string[] = []

  constructor(client: S3Client, place: Place, uploadId: string) {
    this.#client = client
    this.#place = place
    this.#uploadId = uploadId
  }

  async send(partNumber: number, body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    const query = { partNumber: String(partNumber), uploadId: this.#uploadId }
    const answer = await this.#client.tell({ method: 'PUT', ...this.#place, query, body, signal })
    this.#etags[partNumber - 1] = checkedEtag(answer.header('etag'), this.#place.what)
  }

  async complete(signal: AbortSignal): Promise<boolean> {
    const parts = this.#etags.map(
      (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${encoded(etag)}</ETag></Part>`,
    )
    const body = new TextEncoder().encode(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`,
    )
    const headers = { 'if-none-match': '*', 'content-type': 'application/xml' }
    const query = { uploadId: this.#uploadId }
    const request = { method: 'POST', ...this.#place, query, body, signal } as const
    try {
      return await isNew(this.#client.ask({ ...request, headers }, COMPLETED))
    } catch (error) {
      if (!isNotImplemented(error)) throw error
      // Without a condition, the only check is the writer's look right before.
      return isNew(this.#client.ask({ ...request, headers: { 'content-type': 'application/xml' } }, COMPLETED))
    }
  }

  async abort(signal: AbortSignal): Promise<void> {
    const query = { uploadId: this.#uploadId }
    await found(this.#client.tell({ method: 'DELETE', ...this.#place, query, signal }))
  }
}
