/** Assertions and helpers for the checks of stores, without a test runner and for any runtime. */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type BlobStore, type KeyPage, type ListOptions, StorageError, type StorageErrorCode } from '@postern/storage'

/** How much of a value is shown. */
const SHOWN = 200

export function ensure(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise)
}

/** Compares JSON data, in any order of fields. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const got = canonical(actual)
  const wanted = canonical(expected)
  if (got === wanted) return
  let at = 0
  while (got[at] === wanted[at]) at++
  const from = Math.max(0, at - SHOWN / 2)
  const shown = (text: string): string =>
    `${from > 0 ? '…' : ''}${text.slice(from, from + SHOWN)}${text.length > from + SHOWN ? '…' : ''}`
  throw new Error(`${what}: expected ${shown(wanted)}, got ${shown(got)}`)
}

function canonical(value: unknown): string {
  const sorted = (_: string, inner: unknown): unknown =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner
  return JSON.stringify(value, sorted) ?? 'undefined'
}

/** Checks that `work` throws or rejects with a StorageError of this code. @returns the error */
export async function expectCode(
  code: StorageErrorCode,
  work: () => unknown,
  what: string = 'it',
): Promise<StorageError> {
  const error = await errorOf(work, `${what}: expected \`${code}\`, got no error`)
  ensure(error instanceof StorageError, `${what}: expected a StorageError \`${code}\`, got ${String(error)}`)
  ensure(error.code === code, `${what}: expected \`${code}\`, got \`${error.code}\`: ${error.message}`)
  return error
}

/** Checks that `work` throws or rejects with a RangeError, which means a bug of the caller. */
export async function expectRangeError(work: () => unknown, what: string): Promise<void> {
  const error = await errorOf(work, `${what}: expected a RangeError, got no error`)
  ensure(error instanceof RangeError, `${what}: expected a RangeError, got ${String(error)}`)
}

export async function errorOf(work: () => unknown, otherwise: string): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error(otherwise)
}

export async function put(store: BlobStore, key: string, bytes: Uint8Array | string = key): Promise<void> {
  const writer = store.write(key)
  await writer.write(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes)
  await writer.commit()
}

/** Reads the bytes of a blob, and checks that they are as many as its reader says. */
export async function get(store: BlobStore, key: string): Promise<Uint8Array<ArrayBuffer>> {
  const { body, size } = await store.read(key)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const bytes = joined(chunks)
  ensure(bytes.length === size, `${key}: expected ${size} bytes, as its reader says; got ${bytes.length}`)
  return bytes
}

/** Checks that a blob is read back with the size and SHA-256 of the written bytes. */
export async function holds(store: BlobStore, key: string, expected: Uint8Array | string): Promise<void> {
  const wanted = typeof expected === 'string' ? new TextEncoder().encode(expected) : expected
  sameBytes(await get(store, key), wanted, key)
  const size = (await store.head(key))?.size
  ensure(size === wanted.length, `head of ${key}: expected ${wanted.length} bytes, got ${size}`)
}

export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  ensure(actual.length === expected.length, `${what}: expected ${expected.length} bytes, got ${actual.length}`)
  if (Buffer.compare(actual, expected) === 0) return
  throw new Error(`${what}: expected bytes with the SHA-256 ${sha256(expected)}, got ${sha256(actual)}`)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

export async function pages(store: BlobStore, options: ListOptions = {}): Promise<KeyPage[]> {
  const all: KeyPage[] = []
  let cursor: string | undefined
  do {
    const page = await store.list({ ...options, ...(cursor !== undefined && { cursor }) })
    all.push(page)
    cursor = page.cursor
  } while (cursor !== undefined)
  return all
}

export async function keysIn(store: BlobStore, options?: ListOptions): Promise<string[]> {
  return (await pages(store, options)).flatMap((page) => page.keys)
}

/** Checks that exactly these keys exist. */
export async function hasKeys(store: BlobStore, expected: readonly string[], what: string): Promise<void> {
  equal(await keysIn(store), expected.toSorted(), what)
}

/** The longest pattern that was made. */
let longest = new Uint8Array()

/** Makes bytes that do not repeat at the length of any buffer. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  if (size > longest.length) {
    const known = longest.length
    const longer = new Uint8Array(size)
    longer.set(longest)
    for (let i = known; i < size; i++) longer[i] = (i * 31 + (i >> 8) + (i >> 16)) & 0xff
    longest = longer
  }
  return longest.slice(0, size)
}

export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  width = 50,
): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await work(item)
    }),
  )
}
