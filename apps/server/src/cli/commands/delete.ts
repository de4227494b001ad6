/** `postern delete`: removes messages. */
import process from 'node:process'
import { EXIT, Failure } from '../../host/failure.ts'
import { refused } from './mail.ts'
import { print, printJson } from '../../host/output.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'

/** Deletes each message, and continues after one that does not exist. The exit code is 1 if a message was not deleted. */
export async function remove(settings: Settings, ids: readonly string[], flags: { json?: boolean }): Promise<void> {
  const store = await openExistingStore(settings)
  for (const id of ids) {
    const failure = await store.delete(id).then(
      () => undefined,
      (error: unknown) => refused(error, id),
    )
    if (failure !== undefined && !(failure instanceof Failure)) throw failure
    if (failure !== undefined) {
      process.stderr.write(`postern: ${failure.message}\n`)
      process.exitCode = EXIT.failed
    }
    if (flags.json === true) await printJson({ id, deleted: failure === undefined })
    else if (failure === undefined) await print(`deleted ${id}\n`)
  }
}
