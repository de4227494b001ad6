/** Reads stored mail for the commands, and turns errors of a store into lines for the user. */
import {
  isStorageError,
  type MailStore,
  type StoredMail,
  type WalkedMail,
  type WalkMailOptions,
} from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'
import { walkStore } from '../reading/walk.ts'

/** Iterates over messages. @throws Failure */
export async function* walkMail(store: MailStore, options: WalkMailOptions): AsyncGenerator<WalkedMail> {
  try {
    yield* walkStore(store, options)
  } catch (error) {
    if (isStorageError(error, 'invalid-id') && options.before !== undefined) {
      throw new Failure(`--cursor: ${quoted(options.before)} is not a cursor of this list`)
    }
    throw refused(error)
  }
}

/** Counts the messages of a walk without reading them. */
export async function countMail(store: MailStore, options: WalkMailOptions): Promise<number> {
  let count = 0
  const isWanted = (): boolean => {
    count++
    return false
  }
  for await (const _ of walkMail(store, { ...options, isWanted }));
  return count
}

/** Loads one message. @throws Failure if there is none */
export async function loadMail(store: MailStore, id: string): Promise<StoredMail> {
  try {
    return await store.load(id)
  } catch (error) {
    throw refused(error, id)
  }
}

/** Turns an error of a store into a Failure. Returns any other error unchanged, because it is a bug. */
export function refused(error: unknown, id?: string): unknown {
  if (!isStorageError(error)) return error
  if (error.code === 'not-found') return new Failure(`${quoted(id)}: there is no such message`, EXIT.failed)
  if (error.code === 'invalid-id') return new Failure(`${quoted(id)} is not a message id`, EXIT.misused)
  return new Failure(safe(error.message), EXIT.failed, { cause: error })
}

function quoted(text: string | undefined): string {
  return safe(JSON.stringify(text ?? ''))
}
