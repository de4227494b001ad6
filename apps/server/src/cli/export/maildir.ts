/**
 * Writes a Maildir: a file for each message, written in `tmp` and moved to `new`, so that a mail reader never sees an incomplete one.
 *
 * Lines end in LF. Files have the same names as in a `maildir:` store. A name contains the message's id, so that a second export into
 * the same Maildir makes no duplicates.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { StoredMail } from '@postern/storage'
import { uniqueName } from '@postern/storage/maildir'
import { lineFeeds } from './mbox.ts'

/** Creates those of the three directories that do not exist. */
export async function makeMaildir(directory: string): Promise<void> {
  for (const folder of ['tmp', 'new', 'cur']) await mkdir(join(directory, folder), { recursive: true, mode: 0o700 })
}

/** Delivers one message into a Maildir. */
export async function deliver(directory: string, { record, body }: StoredMail): Promise<void> {
  const name = uniqueName(record.id, hostname())
  const temporary = join(directory, 'tmp', `${name}.${process.pid}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    for await (const text of lineFeeds(body)) await file.writeFile(Buffer.from(text, 'latin1'))
    await file.sync()
    await file.close()
    await rename(temporary, join(directory, 'new', name))
  } catch (error) {
    await file.close()
    await rm(temporary, { force: true })
    throw error
  }
}
