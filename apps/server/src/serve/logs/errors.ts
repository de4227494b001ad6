/**
 * Logs failures of the server itself, and what failed: the store, a user's hook, a connection. Repeated failures are counted
 * ({@link RepeatLog}), because a full disk fails with every message.
 */
import { HookTimeoutError, Refusal, type Session } from '@postern/engine'
import { type Fields, HookError, peerFields } from '@postern/intake'
import { isStorageError, type StorageErrorCode } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import { errorCode, errorText } from '../../host/failure.ts'
import { type After, RepeatLog } from './repeats.ts'

/** Lines in a minute, of all workers together. */
const MAX_LINES = 60

/** Texts for codes whose error message comes from the backend. */
const STORAGE_REASONS: Partial<Readonly<Record<StorageErrorCode, string>>> = {
  'no-space': 'no space left',
  denied: 'not permitted',
}

export class ErrorLog {
  readonly #store: string
  readonly #repeats: RepeatLog

  /** @param store Its name for messages */
  constructor(log: Logger, store: string, workerCount: number, after?: After) {
    this.#store = store
    this.#repeats = new RepeatLog(log, {
      maxLines: Math.ceil(MAX_LINES / workerCount),
      level: 'error',
      summary: (times) => `${times} more errors`,
      after,
    })
  }

  /**
   * Notes an error that the engine reports.
   * @param awaited The hook, or the part of the server, that the session is waiting for
   */
  note(error: unknown, session: Session | undefined, awaited: string | undefined): void {
    // A refusal by a hook is logged by RefusalLog. A lost store was logged when it was noticed.
    if (error instanceof Refusal || isStorageError(error, 'lost')) return
    if (error instanceof HookError) {
      this.#note(error.message, session, error.cause, { error: error.cause })
    } else if (isStorageError(error)) {
      const words = STORAGE_REASONS[error.code]
      const reason = words === undefined ? error.message : `${words}: ${error.message}`
      this.#note('the store failed', session, error.code, { store: this.#store, code: error.code, reason })
    } else if (error instanceof HookTimeoutError) {
      this.#note(`${awaited ?? 'a hook'} did not answer in time`, session, '', {})
    } else if (session === undefined || errorCode(error) !== '') {
      this.#note('the connection broke', session, error, { error })
    } else {
      this.#note('the session failed', session, error, { error })
    }
  }

  /** Notes that a listener cannot accept connections. */
  listener(url: string, error: unknown): void {
    this.#note('cannot accept connections', undefined, `${url} ${errorText(error)}`, { url, error })
  }

  /** Writes the counts so far. */
  flush(): void {
    this.#repeats.flush()
  }

  /** @param fields All except `error` are also in the line about repetitions */
  #note(message: string, session: Session | undefined, kind: unknown, fields: Fields): void {
    const { error, ...common } = fields
    this.#repeats.note({
      level: 'error',
      message,
      who: message,
      kind: errorText(kind),
      common: error === undefined ? common : { ...common, reason: errorText(error) },
      fields: () => ({ ...(session && { sessionId: session.id, ...peerFields(session.remote) }), ...fields }),
    })
  }
}
