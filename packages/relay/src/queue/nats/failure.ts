/** What the errors of the NATS client and of JetStream mean. */
import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { isQueueError, QueueError, type QueueErrorCode } from '../error.ts'

/** Codes of JetStream (its errors.json). */
const WRONG_LAST_SEQUENCE: readonly number[] = [10_071, 10_164]
const NO_MESSAGE: readonly number[] = [10_037, 10_057]
const NO_STREAM = 10_059
const MEANINGS: Readonly<Record<number, readonly [QueueErrorCode, string]>> = {
  10_023: ['full', 'the JetStream server has no room'],
  10_039: ['unsupported', 'JetStream is not enabled for this account'],
  10_047: ['full', 'the storage of the JetStream server is full'],
  10_054: ['invalid', 'an entry is larger than the stream allows'],
  10_058: ['invalid', 'a stream of this name with another configuration is there'],
  10_065: ['invalid', 'another stream has the subjects of this one'],
  10_074: ['invalid', 'the server has fewer than the wanted replicas'],
  10_076: ['unsupported', 'JetStream is not enabled on this server'],
}

/** The subject has changed since the writer has read it. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.includes(error.code)
}

export function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && NO_MESSAGE.includes(error.code)
}

export function isMissingStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === NO_STREAM
}

/** Returns the error of a queue for any error. The message is one line. @param name Names the queue */
export function failureOf(error: unknown, name: string): QueueError {
  if (isQueueError(error)) return error
  const failure = (code: QueueErrorCode, problem: string): QueueError =>
    new QueueError(code, `the queue ${name}: ${problem}`, { cause: error })
  if (error instanceof JetStreamApiError) {
    // The limits of streams and accounts have texts and not codes of their own.
    if (/^(?:maximum (?:messages|bytes)|insufficient)/.test(error.message)) return failure('full', error.message)
    const [code, problem] = MEANINGS[error.code] ?? ['unavailable', oneLine(error.message)]
    return failure(code, problem)
  }
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return failure('invalid', 'the NATS server refuses the login')
  if (error instanceof errors.PermissionViolationError)
    return failure('invalid', `the user has no permission for ${oneLine(error.subject)}`)
  if (error instanceof errors.TimeoutError) return failure('unavailable', 'the NATS server does not answer')
  if (isUnanswered(error)) return failure('unavailable', 'JetStream does not answer')
  const { message = String(error), code } = (error ?? {}) as { readonly message?: string; readonly code?: unknown }
  return failure('unavailable', oneLine(message === '' ? String(code) : message))
}

function isUnanswered(error: unknown): boolean {
  if (error instanceof errors.RequestError) return error.isNoResponders()
  return error instanceof errors.NoRespondersError || (error as Error | undefined)?.name === 'JetStreamNotEnabled'
}

function oneLine(text: string): string {
  return text.slice(0, 300).replaceAll(/[^ -~]/gu, ' ')
}
