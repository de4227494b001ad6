/** `postern send`: hands one message to a server. It is a file, standard input, or what the flags say. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { hostname as systemName, userInfo } from 'node:os'
import process from 'node:process'
import type { Readable } from 'node:stream'
import type { OutgoingRecipient } from '@postern/engine/client'
import { Failure, unreadable } from '../../host/failure.ts'
import { isTerminal } from '../../host/terminal.ts'
import { compose, type ComposeFlags, hasContent } from '../sending/compose.ts'
import { submit, type ServerFlags } from '../sending/submit.ts'
import { SYSEXIT } from '../sending/sysexits.ts'
import { readWhole } from '../sending/whole.ts'

export interface SendFlags extends ComposeFlags, Omit<ServerFlags, 'hostname' | 'submitTo'> {
  readonly hello?: string
  readonly json?: boolean
}

/** Returns the exit code, one of sysexits(3). */
export async function send(submitTo: string, file: string | undefined, flags: SendFlags): Promise<number> {
  const hostname = flags.hello ?? nameOfMachine()
  const from = flags.from ?? `${userInfo().username}@${hostname}`
  const server = { ...flags, submitTo, hostname }
  const isMade = hasContent(flags)
  if (isMade && file !== undefined) {
    throw new Failure(
      'give a file with a whole message, or flags such as --subject and --text, not both',
      SYSEXIT.usage,
    )
  }
  if (isMade || (file === undefined && isTerminal(process.stdin))) {
    const { from: reversePath, to, bytes } = await compose({ ...flags, from })
    return submit(server, { reversePath, forwardPaths: to }, bytes, flags)
  }
  const given = [...(flags.to ?? []), ...(flags.cc ?? []), ...(flags.bcc ?? [])]
  const options = { endsAtDot: false, readsRecipients: given.length === 0, removesBcc: true, from, hostname }
  const message = await readWhole(await inputOf(file), options)
  const forwardPaths: readonly (string | OutgoingRecipient)[] = given.length > 0 ? given : message.recipients
  if (forwardPaths.length === 0) {
    throw new Failure('the message has no To, Cc or Bcc; give --to with an address', SYSEXIT.usage)
  }
  return submit(server, { reversePath: flags.from ?? message.from ?? from, forwardPaths }, message.bytes, flags)
}

/** Opens the file, or standard input. */
async function inputOf(file: string | undefined): Promise<Readable> {
  if (file === undefined || file === '-') return process.stdin
  try {
    if ((await stat(file)).isDirectory()) throw Object.assign(new Error('directory'), { code: 'EISDIR' })
    return createReadStream(file)
  } catch (error) {
    throw new Failure(unreadable(file, error).message, SYSEXIT.noInput, { cause: error })
  }
}

/** Returns the machine's name, in a form that EHLO allows. */
export function nameOfMachine(): string {
  const name = systemName()
  return /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/.test(name) && !name.includes('..') ? name : 'localhost'
}
