/** `postern watch`: prints a line for each new message, and runs a command with it. */
import process from 'node:process'
import type { MailRecord, StoredMail } from '@postern/storage'
import { storeName } from '../../config/urls/store-url.ts'
import { parseQuantity } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { errorText, Failure } from '../../host/failure.ts'
import { print, printJson } from '../../host/output.ts'
import { isTerminal, safe, table } from '../../host/terminal.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { type Ending, runCommand } from '../reading/exec.ts'
import { type FilterFlags, filterOf } from '../reading/filter.ts'
import { rowOf, WIDTHS } from '../reading/rows.ts'
import { untilSignal } from '../reading/until-signal.ts'
import { refused } from './mail.ts'
import { followerOf, newMail, reportCorrupt } from './new-mail.ts'

/** The flags of `postern watch`. */
export interface WatchFlags extends FilterFlags {
  readonly exec?: string
  readonly execTimeout: string
  readonly json?: boolean
}

/** Messages up to this size are read ahead for the command. */
const HELD_BYTES = 256 * 1024
/** The longest time that a timer takes. */
const MAX_MS = 2 ** 31 - 1

/** Watches until SIGINT or SIGTERM. Then waits for the command that runs. @throws Failure */
export async function watch(settings: Settings, flags: WatchFlags): Promise<void> {
  const { exec, json = false } = flags
  const timeoutMs = parseQuantity(flags.execTimeout, 'time')
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_MS)) {
    throw new Failure(`--exec-timeout: ${JSON.stringify(flags.execTimeout)} is not a time such as 5m, from 1ms to 24d`)
  }
  if (exec?.trim() === '') throw new Failure('--exec: "" is not a command')
  const isMatch = filterOf(flags)
  const store = await openExistingStore(settings, { writable: false })
  const widths = [...WIDTHS]
  await untilSignal(async (signal) => {
    const follower = followerOf(store, settings, signal)
    await follower.skipPresent()
    if (isTerminal(process.stderr)) {
      process.stderr.write(`Waiting for new mail in ${safe(storeName(settings.options.store))}. Stop with Ctrl-C.\n`)
    }
    for await (const { id, mail } of newMail(follower, exec === undefined ? 0 : HELD_BYTES)) {
      if (mail === undefined) reportCorrupt(id)
      if (mail === undefined || !isMatch(mail.record)) continue
      const { record } = mail
      if (!json) await print(table([rowOf(record)], undefined, widths))
      const ending = exec === undefined ? undefined : await run(exec, mail, timeoutMs)
      if (json) await printJson({ record, ...(ending !== undefined && { exec: ending }) })
    }
  })
}

/** Runs the command with a message. Returns an error and does not throw it, so that the next message gets its turn. */
async function run(command: string, mail: StoredMail, timeoutMs: number): Promise<Ending | { readonly error: string }> {
  try {
    // Checks the message first, because the command would take an incomplete message for a whole one.
    await mail.verify()
    const ending = await runCommand(command, mail, timeoutMs)
    const how = endingText(ending)
    if (how !== undefined) report(mail.record, `the command ${how}`)
    return ending
  } catch (error) {
    const reason = errorText(refused(error, mail.record.id))
    report(mail.record, `the command did not run: ${reason}`)
    return { error: reason }
  }
}

function endingText({ exitCode, signal, isLate }: Ending): string | undefined {
  if (isLate) return 'took longer than --exec-timeout, and was ended'
  if (signal !== null) return `was ended by ${signal}`
  return exitCode === 0 ? undefined : `ended with exit code ${exitCode}`
}

function report({ id }: MailRecord, text: string): void {
  process.stderr.write(`postern: ${id}: ${text}\n`)
}
