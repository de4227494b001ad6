/** Short cuts for tests that read and write blobs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlobStore, KeyPage, ListOptions } from '@postern/storage'
import { afterAll } from 'vitest'
import { bytesOf } from './mail.ts'

export async function put(store: BlobStore, key: string, bytes: Uint8Array | string = key): Promise<void> {
  const writer = store.write(key)
  await writer.write(typeof bytes === 'string' ? bytesOf(bytes) : bytes)
  await writer.commit()
}

export async function get(store: BlobStore, key: string): Promise<Uint8Array> {
  const { body, size } = await store.read(key)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const bytes = new Uint8Array(Buffer.concat(chunks))
  if (bytes.length !== size) throw new Error(`${bytes.length} bytes were read of ${size}`)
  return bytes
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

/** A directory that is gone after the tests of this file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-storage-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
