/** `postern export`: writes messages in formats of other programs. */
import { open, rm } from 'node:fs/promises'
import process from 'node:process'
import { isStorageError, type MailStore, type StoredMail } from '@postern/storage'
import { errorCode, errorText, EXIT, Failure } from '../../host/failure.ts'
import { countMail, loadMail, refused, walkMail } from './mail.ts'
import { Progress } from '../reading/progress.ts'
import { Batch } from '../../host/batch.ts'
import { print } from '../../host/output.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { isTerminal } from '../../host/terminal.ts'

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

/** A message up to this size is read once, into memory. A larger one is read twice, because the first read checks it. */
const HELD_BYTES = 256 * 1024

/**
 * Writes the named messages, or all of them, oldest first. If a message does not exist or cannot be read completely, a
 * line on stderr says so. The export then continues without it, and the exit code is 1.
 */
export async function exportMail(settings: Settings, named: readonly string[], flags: ExportFlags): Promise<void> {
  const store = await openExistingStore(settings, { writable: false })
  const target = await openTarget(flags)
  // If the messages go to the same terminal, a line of progress would be among them.
  const isShown = isTerminal(process.stderr) && (flags.output !== undefined || !isTerminal())
  const total = named.length > 0 ? named.length : isShown ? await countMail(store, {}) : 0
  const progress = new Progress(isShown, total)
  let count = 0
  let isWhole = false
  try {
    for await (const { id, mail } of named.length > 0 ? namedMail(store, named) : allMail(store)) {
      // Checks the whole message first, because a wrong checksum shows only at the end, after the beginning was
      // written.
      const failure = mail instanceof Error ? mail : await failureOf(mail, id)
      if (failure !== undefined || mail instanceof Error) {
        progress.clear()
        leftOut(failure)
        continue
      }
      await target.add(mail).catch((error: unknown) => {
        throw isStorageError(error) ? refused(error, id) : cannotWrite(flags, error)
      })
      count++
      progress.add(mail.record.size)
    }
    isWhole = true
  } finally {
    progress.clear()
    await target.close(isWhole)
  }
  if (flags.output !== undefined) {
    process.stderr.write(`${count} ${count === 1 ? 'message' : 'messages'} written to ${flags.output}\n`)
  }
}

/** A message to export, or the reason why it can't be exported. */
interface Exported {
  readonly id: string
  readonly mail: StoredMail | Error
}

async function* namedMail(store: MailStore, ids: readonly string[]): AsyncGenerator<Exported> {
  for (const id of ids) yield { id, mail: await loadMail(store, id).catch((error: Error) => error) }
}

async function* allMail(store: MailStore): AsyncGenerator<Exported> {
  for await (const { id, mail } of walkMail(store, { order: 'oldest-first', heldBytes: HELD_BYTES })) {
    yield { id, mail: mail ?? new Failure(`${id}: the record can't be read`, EXIT.failed) }
  }
}

/** Reads the whole message. Returns why it is not sound; undefined if it is. */
async function failureOf(mail: StoredMail, id: string): Promise<unknown> {
  try {
    await mail.verify()
    return undefined
  } catch (error) {
    return refused(error, id)
  }
}

/** Reports that a message is not in the export. Errors other than failures of that message are thrown again. */
function leftOut(reason: unknown): void {
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
    const batch = new Batch(print)
    return {
      async add(mail) {
        for await (const chunk of message(mail)) await batch.add(chunk)
      },
      close: () => batch.flush(),
    }
  }
  // Never overwrites an older export. The user must remove it.
  const file = await open(output, 'wx', 0o600).catch((error: unknown) => {
    throw cannotWrite(flags, error)
  })
  const batch = new Batch((bytes) => file.writeFile(bytes))
  return {
    async add(mail) {
      for await (const chunk of message(mail)) await batch.add(chunk)
    },
    async close(isWhole) {
      try {
        if (isWhole) await batch.flush()
      } catch (error) {
        isWhole = false
        throw cannotWrite(flags, error)
      } finally {
        await file.close()
        if (!isWhole) await rm(output, { force: true })
      }
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
