/** Fills a directory with many messages of a few minutes, through the store's own writers, and without waiting for the disk. */
import { rmSync } from 'node:fs'
import { mailStore, type MailStore } from '@postern/storage'
import type { FsLayout } from '@postern/storage/fs'
import { idAt, messageOf, SESSION } from '../../contracts/mail/messages.ts'
import { fsOn } from '../../../packages/storage/src/fs/index.ts'
import { nodeDisk } from '../../../packages/storage/src/disk/disk.ts'

export interface Fill {
  readonly layout: FsLayout
  readonly messages: number
  /** The messages are of so many minutes, one after the other. */
  readonly minutes: number
  readonly messageBytes: number
}

const FIRST = Date.parse('2026-11-21T05:42:00Z')
const SAVES_AT_ONCE = 64

/** Makes the directory anew, and fills it. */
export async function fill(directory: string, { layout, messages, minutes, messageBytes }: Fill): Promise<void> {
  rmSync(directory, { recursive: true, force: true })
  const disk = { ...nodeDisk, fsync: async (): Promise<void> => {} }
  const mail: MailStore = mailStore(fsOn(disk, directory, { layout }))
  const line = 'A line of text, as long as many lines of mail are, more or less.\r\n'
  const body = new TextEncoder().encode(
    `Subject: one of many\r\n\r\n${line.repeat(Math.ceil(messageBytes / line.length))}`.slice(0, messageBytes),
  )
  const message = messageOf(idAt(FIRST), [])
  const numbers = Array.from({ length: messages }, (_, number) => number).values()
  const save = async (): Promise<void> => {
    for (const number of numbers) {
      const id = idAt(FIRST + Math.floor((number * minutes * 60_000) / messages), number)
      let left: Uint8Array | null = body
      const read = (): Uint8Array | null => {
        const next = left
        left = null
        return next
      }
      await mail.save({ ...message, id, read }, SESSION)
    }
  }
  await Promise.all(Array.from({ length: SAVES_AT_ONCE }, save))
}
