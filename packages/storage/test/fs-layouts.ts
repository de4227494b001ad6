/** The layouts of a directory, on a disk that a test simulates. */
import { type BlobStore, mailStore } from '@postern/storage'
import { expect } from 'vitest'
import { fsAt, packedAt } from '../src/fs/index.ts'
import type { Ages } from './inode.ts'
import { type PowerCutDisk, ROOT } from './power-cut-disk.ts'
import { Book, expectFates, expectSwept, type OpenStore } from './scenarios.ts'

export interface FsLayout {
  readonly layout: string
  readonly ages?: Ages
  blobs(disk: PowerCutDisk): BlobStore
  open: OpenStore
  /** Checks that a sweep removes all unused files, and that no saved message is gone. */
  expectSwept(disk: PowerCutDisk, book: Book): Promise<void>
}

const AGE_MS = 120_000

export const FILES: FsLayout = {
  layout: 'files',
  blobs: (disk) => fsAt(disk, ROOT),
  open: (disk) => mailStore(FILES.blobs(disk)),
  expectSwept,
}

/** Assumes that all mail was kept a while ago, and that no other process writes to an existing pack. */
export const PACKED: FsLayout & { readonly ages: Ages } = {
  layout: 'packed',
  ages: { fileAgeMs: AGE_MS },
  blobs: (disk) => packedAt(disk, ROOT, 1024, () => Date.now() - AGE_MS),
  open: (disk) => mailStore(PACKED.blobs(disk)),
  async expectSwept(disk, book) {
    await book.mail.sweep({ olderThanMs: 0 })
    await expectFates(book.mail, book.fates)
    expect(disk.files().filter((file) => file.startsWith('.tmp/'))).toEqual([])
  },
}
