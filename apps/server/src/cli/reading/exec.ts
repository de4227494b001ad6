/**
 * Runs the user's command with a message on its standard input.
 *
 * The shell gets the command as the user wrote it. Text from clients is only in the input and in environment variables, never in the
 * command line of the shell.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { MailRecord, StoredMail } from '@postern/storage'
import { environment } from '../../host/permission.ts'
import { safe } from '../../host/terminal.ts'

/** How a command ended. */
export interface Ending {
  /** Null if a signal ended the command. */
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** True if the command took too long and Postern ended it. */
  readonly isLate: boolean
}

/** The time between SIGTERM and SIGKILL. */
const GRACE_MS = 5_000
/** Bounds `MAIL_TO`, because the system allows 128 KiB for one variable. */
const MAX_RECIPIENTS = 100

/** @throws Error if the command can't be started */
export async function runCommand(command: string, mail: StoredMail, timeoutMs: number): Promise<Ending> {
  const child = spawn('/bin/sh', ['-c', command], {
    stdio: ['pipe', 'inherit', 'inherit'],
    // The shell leads a process group, so that a signal reaches what it started.
    detached: true,
    env: { ...environment(['PATH', 'HOME', 'LANG']), ...factsOf(mail.record) },
  })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  let isLate = false
  let killing: NodeJS.Timeout | undefined
  const waiting = setTimeout(() => {
    isLate = true
    end(child, 'SIGTERM')
    killing = setTimeout(() => end(child, 'SIGKILL'), GRACE_MS)
  }, timeoutMs)
  try {
    let failure: unknown
    const source = mail.body[Symbol.asyncIterator]()
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        for (let next = await read(); next.done !== true; next = await read()) yield next.value
      } finally {
        await source.return?.()
      }
    }
    // Only errors of the store count. The stream also throws into `body` what it gets from the command's input.
    async function read(): Promise<IteratorResult<Uint8Array>> {
      try {
        return await source.next()
      } catch (error) {
        failure = error
        // Otherwise the command would take the incomplete message for a whole one.
        end(child, 'SIGKILL')
        throw error
      }
    }
    // A command need not read its input to the end.
    const fed = pipeline(Readable.from(body(), { objectMode: false }), child.stdin).catch(() => undefined)
    const [exitCode, signal] = await ended
    child.stdin.destroy()
    await fed
    if (failure !== undefined) throw failure
    return { exitCode, signal, isLate }
  } finally {
    clearTimeout(waiting)
    clearTimeout(killing)
  }
}

/** Sends a signal to the shell and to the processes that it started. */
function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-(child.pid ?? Number.NaN), signal)
  } catch {
    // The runtime made no group, or the group has ended.
    child.kill(signal)
  }
}

/** Returns the facts of a message as environment variables. Escapes control characters, as `list` does, because they could mislead a script. */
function factsOf(record: MailRecord): Record<string, string> {
  const { id, receivedAt, size, sha256, reversePath, forwardPaths, session } = record
  return {
    MAIL_ID: id,
    MAIL_RECEIVED_AT: receivedAt,
    MAIL_SIZE: String(size),
    MAIL_SHA256: sha256,
    MAIL_FROM: safe(reversePath.address),
    MAIL_TO: forwardPaths
      .slice(0, MAX_RECIPIENTS)
      .map(({ address }) => safe(address))
      .join('\n'),
    MAIL_TO_COUNT: String(forwardPaths.length),
    MAIL_CLIENT: safe(session.remote.address),
    MAIL_USER: safe(session.user ?? ''),
  }
}
