/** `postern release`: moves messages from the quarantine to the store. */
import process from 'node:process'
import { copyMail, type MailRecord, type MailStore } from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { complain, print, printJson } from '../../host/output.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore, openStore } from '../../serve/store/store.ts'
import { quarantineOf } from '../../serve/quarantine.ts'
import { loadMail, refused } from './mail.ts'

/** Releases each message, and continues after one that fails. The exit code is not 0 if a message was not released. */
export async function release(
  settings: Settings,
  ids: readonly string[],
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  if (settings.options.quarantine === undefined)
    throw new Failure(`${settings.spelled('quarantine')}: name the store of the quarantine, such as fs:./quarantine`)
  const quarantine = await openExistingStore(quarantineOf(settings))
  const store = await openStore(settings)
  for (const id of ids) {
    const failure = await releaseOne(quarantine, store, settings, id)
    if (failure !== undefined) {
      complain(failure.message)
      process.exitCode = Math.max(Number(process.exitCode ?? EXIT.done), failure.exitCode)
    }
    if (json) await printJson({ id, released: failure === undefined })
    else if (failure === undefined) await print(`released ${id}\n`)
  }
}

/** Removes the message from the quarantine when its copy is durable. If that fails, it is in both, and can be deleted there. */
async function releaseOne(
  quarantine: MailStore,
  store: MailStore,
  { options }: Settings,
  id: string,
): Promise<Failure | undefined> {
  try {
    const mail = await loadMail(quarantine, id)
    await copyMail(mail, store, {
      summary: options.summary === 'on',
      attachments: options.attachments,
      attachmentsAboveBytes: options.attachmentsAboveBytes,
      verdicts: releasedVerdicts(mail.record),
    })
    await quarantine.delete(id)
    return undefined
  } catch (error) {
    const failure = refused(error, id)
    if (failure instanceof Failure) return failure
    throw failure
  }
}

function releasedVerdicts({ verdicts }: MailRecord): MailRecord['verdicts'] {
  return Object.fromEntries(Object.entries(verdicts).filter(([name]) => name !== 'isQuarantined'))
}
