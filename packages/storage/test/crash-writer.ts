/** Saves messages without end, and prints the id of each saved message. crash.test.ts kills it. */
import { writeSync } from 'node:fs'
import { mailStore } from '@postern/storage'
import { fs, type FsLayout } from '@postern/storage/fs'
import { idAt, messageOf, SESSION } from '../../../test/contracts/mail/messages.ts'

const [, , directory, layout] = process.argv
const mail = mailStore(fs(directory as string, { layout: layout as FsLayout }))
const sizes = [0, 100, 3000, 70_000, 200_000]

async function saveForever(): Promise<void> {
  for (let i = 0; ; i++) {
    const bytes = new Uint8Array((sizes[i % sizes.length] as number) / 2).fill(i)
    const id = idAt(Date.now())
    await mail.save(messageOf(id, [bytes, bytes], i % 2 === 0), SESSION)
    if (i % 7 === 3) await mail.bounce(id, { reason: 'x' })
    writeSync(1, `${id}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, saveForever))
