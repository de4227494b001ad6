/** `postern delete`: removes messages. */
import process from 'node:process'
import type { MailStore } from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { refused } from './mail.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { isTerminal } from '../../host/terminal.ts'
import type { Settings } from '../../config/settings.ts'
import { storeName } from '../../config/urls/store-url.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { confirm } from '../reading/confirm.ts'

/** The flags of `postern delete`. */
export interface DeleteFlags {
  readonly all?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

const PAGE = 1000

/** Deletes each message, and continues after one that does not exist. The exit code is not 0 if a message was not deleted. */
export async function remove(settings: Settings, ids: readonly string[], flags: DeleteFlags): Promise<void> {
  check(ids, flags)
  const store = await openExistingStore(settings)
  if (flags.all !== true) {
    for (const id of ids) {
      if ((await removeOne(store, id, flags)) && flags.json !== true) await print(`deleted ${id}\n`)
    }
    return
  }
  if (flags.yes !== true) await confirm('delete', `Delete all messages in ${storeName(settings.options.store)}?`)
  const count = (await removeAll(store, false, flags)) + (await removeAll(store, true, flags))
  if (flags.json !== true) await print(`deleted ${count} ${count === 1 ? 'message' : 'messages'}\n`)
}

function check(ids: readonly string[], { all, yes }: DeleteFlags): void {
  if (all === true && ids.length > 0) throw new Failure('delete: give either ids or --all')
  if (all !== true && ids.length === 0) throw new Failure('delete: give the ids of messages, or --all')
  if (all !== true && yes === true) throw new Failure('--yes: is only for --all')
  if (all === true && yes !== true && !isTerminal(process.stdin)) {
    throw new Failure('delete --all: there is no terminal to ask; give --yes')
  }
}

/** Deletes all messages, page by page. Keeps messages that arrive meanwhile. @returns how many it deleted */
async function removeAll(store: MailStore, bounced: boolean, flags: DeleteFlags): Promise<number> {
  let count = 0
  let cursor: string | undefined
  do {
    const page = await store.list({ limit: PAGE, bounced, ...(cursor !== undefined && { cursor }) }).catch((error) => {
      throw refused(error)
    })
    for (const id of [...page.records.map((record) => record.id), ...page.corrupt]) {
      if (await removeOne(store, id, flags)) count++
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return count
}

/** Deletes one message. Prints a line if that fails. @returns whether it succeeded */
async function removeOne(store: MailStore, id: string, { json }: DeleteFlags): Promise<boolean> {
  const failure = await store.delete(id).then(
    () => undefined,
    (error: unknown) => refused(error, id),
  )
  if (failure !== undefined && !(failure instanceof Failure)) throw failure
  if (failure !== undefined) {
    complain(failure.message)
    process.exitCode = Math.max(Number(process.exitCode ?? EXIT.done), failure.exitCode)
  }
  if (json === true) await printJson({ id, deleted: failure === undefined })
  return failure === undefined
}
