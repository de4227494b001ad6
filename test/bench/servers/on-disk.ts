/** The fs store in either layout, which counts how often it has the disk synced. */
import type { Handlers } from '@postern/engine'
import { keep } from '@postern/storage'
import { nodeDisk } from '../../../packages/storage/src/disk/disk.ts'
import { type FsLayout, fsOn } from '../../../packages/storage/src/fs/index.ts'
import { announce } from './options.ts'

/** Asked to end (SIGTERM), it tells how many messages it kept, and by how many fsyncs. */
export function keepOnDisk(directory: string, layout: FsLayout): NonNullable<Handlers['data']> {
  let messages = 0
  let fsyncs = 0
  const disk = {
    ...nodeDisk,
    fsync(file: number): Promise<void> {
      fsyncs++
      return nodeDisk.fsync(file)
    },
  }
  process.on('SIGTERM', () => {
    announce({ messages, fsyncs })
    process.exit()
  })
  return keep(fsOn(disk, directory, { layout }), { kept: () => void messages++ })
}
