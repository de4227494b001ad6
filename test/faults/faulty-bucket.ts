/** An R2 bucket that fails as the test says. A Worker can use it instead of its own. */
import type { Bucket, BucketObject, PutOptions, UploadedPart } from '@postern/storage/r2'

export type BucketCall = 'put' | 'create' | 'part' | 'complete' | 'abort' | 'head' | 'delete'

export interface BucketFault {
  readonly calls: readonly BucketCall[]
  /** Only for keys with this end. */
  readonly keyEnd?: string
  /**
   * `error`: the call is not done and fails. `lost`: it is done but fails. `hang`: it is not done and never answered. `late`: it is
   * done but never answered. `changed`: one byte of the written bytes is changed.
   */
  readonly kind: 'error' | 'hang' | 'lost' | 'late' | 'changed'
  /** The error message, in R2's own words. */
  readonly message?: string
  /** How many calls fail before all succeed. Default: all fail. */
  readonly times?: number
}

export class FaultyBucket implements Bucket {
  readonly #inner: Bucket
  #faults: { readonly fault: BucketFault; hits: number }[] = []

  constructor(inner: Bucket) {
    this.#inner = inner
  }

  /** The calls that met one of the current faults. */
  get hits(): number {
    return this.#faults.reduce((sum, { hits }) => sum + hits, 0)
  }

  /** Replaces the current faults by these. */
  set(faults: readonly BucketFault[]): void {
    this.#faults = faults.map((fault) => ({ fault, hits: 0 }))
  }

  head: Bucket['head'] = (key) => this.#do('head', key, () => this.#inner.head(key))
  get: Bucket['get'] = (key) => this.#inner.get(key)
  list: Bucket['list'] = (options) => this.#inner.list(options)
  delete: Bucket['delete'] = (key) => this.#do('delete', key, () => this.#inner.delete(key))

  put(key: string, value: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<BucketObject | null> {
    return this.#do('put', key, (isChanged) => this.#inner.put(key, isChanged ? changed(value) : value, options))
  }

  createMultipartUpload: Bucket['createMultipartUpload'] = async (key, options) => {
    const upload = await this.#do('create', key, () => this.#inner.createMultipartUpload(key, options))
    return {
      uploadPart: (partNumber: number, value: Uint8Array<ArrayBuffer>): Promise<UploadedPart> =>
        this.#do('part', key, (isChanged) => upload.uploadPart(partNumber, isChanged ? changed(value) : value)),
      complete: (parts: UploadedPart[]): Promise<BucketObject> =>
        this.#do('complete', key, () => upload.complete(parts)),
      abort: (): Promise<void> => this.#do('abort', key, () => upload.abort()),
    }
  }

  async #do<T>(call: BucketCall, key: string, work: (isChanged: boolean) => Promise<T>): Promise<T> {
    const fault = this.#meets(call, key)
    if (fault === undefined || fault.kind === 'changed') return work(fault !== undefined)
    if (fault.kind === 'lost' || fault.kind === 'late') await work(false)
    if (fault.kind === 'hang' || fault.kind === 'late') return new Promise(() => {})
    throw new Error(fault.message ?? `${call}: Network connection lost.`)
  }

  #meets(call: BucketCall, key: string): BucketFault | undefined {
    const met = this.#faults.find(
      ({ fault: { calls, keyEnd = '', times = Number.POSITIVE_INFINITY }, hits }) =>
        calls.includes(call) && key.endsWith(keyEnd) && hits < times,
    )
    if (met !== undefined) met.hits++
    return met?.fault
  }
}

function changed(value: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return value.with(value.length >> 1, (value[value.length >> 1] ?? 0) ^ 1) as Uint8Array<ArrayBuffer>
}
