/**
 * The part of the Workers R2 binding that is used here, so that programs compile without Cloudflare's types. An `R2Bucket` of
 * `@cloudflare/workers-types` fits, and so does the bucket that miniflare makes in Node.
 */

/** A bucket, such as `env.MAIL`. */
export interface Bucket {
  head(key: string): Promise<BucketObject | null>
  get(key: string): Promise<BucketBody | null>
  /** Returns null if the condition did not hold. */
  put(key: string, value: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<BucketObject | null>
  createMultipartUpload(key: string, options: ObjectOptions): Promise<MultipartUpload>
  delete(key: string): Promise<void>
  list(options: {
    prefix?: string
    delimiter?: string
    startAfter?: string
    cursor?: string
    limit?: number
  }): Promise<BucketPage>
}

export interface ObjectOptions {
  readonly httpMetadata?: { contentType?: string; contentDisposition?: string }
  readonly customMetadata?: Record<string, string>
}

export interface PutOptions extends ObjectOptions {
  readonly onlyIf: { etagDoesNotMatch: string }
  /** R2 refuses bytes that do not have this digest. */
  readonly sha256: ArrayBuffer
}

export interface BucketObject {
  readonly size: number
  readonly uploaded: Date
  readonly customMetadata?: Record<string, string>
}

export interface BucketBody extends BucketObject {
  readonly body: {
    getReader(): {
      read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
      cancel(reason?: unknown): Promise<void>
    }
    cancel(reason?: unknown): Promise<void>
  }
}

export interface MultipartUpload {
  uploadPart(partNumber: number, value: Uint8Array<ArrayBuffer>): Promise<UploadedPart>
  complete(parts: UploadedPart[]): Promise<BucketObject>
  abort(): Promise<void>
}

export interface UploadedPart {
  partNumber: number
  etag: string
}

export interface BucketPage {
  readonly objects: readonly { readonly key: string; readonly size: number }[]
  readonly delimitedPrefixes: readonly string[]
  readonly truncated: boolean
  readonly cursor?: string
}
