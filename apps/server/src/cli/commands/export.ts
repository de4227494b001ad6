/** `postern export`: writes messages in formats of other programs. */
import { open, rm } from 'node:fs/promises'
import process from 'node:process'
import { isStorageError, type StoredMail } from '@postern/storage'
import { errorCode, errorText, EXIT, Failure } from '../../host/failure.ts'
import { listIds, loadMail, refused } from './mail.ts'
import { print } from '../../host/output.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'

/** The flags of `postern export`. */
export interface ExportFlags {
  readonly format: 'mbox' | 'maildir' | 'jsonl'
  readonly output?: string
}

/** Receives the exported messages. */
interface Target {
  add(mail: StoredMail): Promise<void>
  /** @param isWhole True if the export was not interrupted */
  close(isWhole: boolean): Promise<void>
}

/**
 * Writes the named messages, or all of them, oldest first. If a message does not exist or cannot be read completely, a
 * line on stderr says so. The export then continues without it, and the exit code is 1.
 */
export async function exportMail(settings: Settings, named: readonly string[], flags: ExportFlags): Promise<void> {
  const store = await openExistingStore(settings, { writable: false })
  const { ids, corrupt } = named.length > 0 ? { ids: named, corrupt: [] } : await listIds(store)
  const target = await openTarget(flags)
  let count = 0
  let isWhole = false
  try {
    corrupt.forEach((id) => leftOut(`${id}: the record can't be read`))
    for (const id of ids) {
      // Checks the whole message first, because a wrong checksum shows only at the end, after the beginning was
      // written.
      const mail = await loadMail(store, id).catch((error: unknown) => leftOut(error))
      const isSound = await mail?.verify().then(
        () => true,
        (error: unknown) => leftOut(refused(error, id)),
      )
      if (mail === undefined || isSound === undefined) continue
      await target.add(mail).catch((error: unknown) => {
        throw isStorageError(error) ? refused(error, id) : cannotWrite(flags, error)
      })
      count++
    }
    isWhole = true
  } finally {
    await target.close(isWhole)
  }
  if (flags.output !== undefined) {
    process.stderr.write(`${count} ${count === 1 ? 'message' : 'messages'} written to ${flags.output}\n`)
  }
}

/** Reports that a message is not in the export. Errors other than failures of that message are thrown again. */
function leftOut(reason: unknown): undefined {
  if (reason instanceof Error && !(reason instanceof Failure)) throw reason
  process.stderr.write(`postern: not exported: ${errorText(reason)}\n`)
  process.exitCode = EXIT.failed
}

async function openTarget(flags: ExportFlags): Promise<Target> {
  if (flags.format === 'maildir') return openMaildir(flags)
  const message =
    flags.format === 'mbox'
      ? (await import('../export/mbox.ts')).mboxMessage
      : (await import('../export/json-lines.ts')).jsonLine
  const { output } = flags
  if (output === undefined) {
    return {
      async add(mail) {
        for await (const chunk of message(mail)) await print(chunk)
      },
      async close() {},
    }
  }
  // Never overwrites an older export. The user must remove it.
  const file = await open(output, 'wx', 0o600).catch((error: unknown) => {
    throw cannotWrite(flags, error)
  })
  return {
    async add(mail) {
      for await (const chunk of message(mail)) await file.writeFile(chunk)
    },
    async close(isWhole) {
      await file.close()
      if (!isWhole) await rm(output, { force: true })
    },
  }
}

async function openMaildir(flags: ExportFlags): Promise<Target> {
  const { output } = flags
  if (output === undefined) throw new Failure('--output: name a directory for the Maildir')
  const { deliver, makeMaildir } = await import('../export/maildir.ts')
  await makeMaildir(output).catch((error: unknown) => {
    throw cannotWrite(flags, error)
  })
  return { add: (mail) => deliver(output, mail), async close() {} }
}

function cannotWrite({ output = '' }: ExportFlags, error: unknown): unknown {
  const code = errorCode(error)
  if (code === '') return error
  const mend = code === 'EEXIST' ? 'it exists already; remove it, or give another path' : errorText(error)
  return new Failure(`--output ${output}: ${mend}`, EXIT.misused, { cause: error })
}
