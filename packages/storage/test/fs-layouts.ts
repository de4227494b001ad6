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
  /** A sweep leaves nothing that nobody needs, and nothing that was promised is gone. */
  expectSwept(disk: PowerCutDisk, book: Book): Promise<void>
}

const AGE_MS = 120_000

export const FILES: FsLayout = {
  layout: 'files',
  blobs: (disk) => fsAt(disk, ROOT),
  open: (disk) => mailStore(FILES.blobs(disk)),
  expectSwept,
}

/** What was kept was kept a while ago, and nobody else is writing to a pack that is there. */
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
