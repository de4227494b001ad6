/** What the checks of queues have in common: plain data, without a test runner and for any runtime. */
import type {
  Claim,
  DeliveryState,
  NewEntry,
  NewRecipient,
  Queue,
  QueueEnvelope,
  QueueErrorCode,
  RecipientResult,
  Settlement,
} from '@postern/relay'

/** A kind of queue. */
export interface Ground {
  /** Makes a queue that nobody has used. */
  make(options?: { readonly isSmall?: boolean }): Promise<Queue>
  /** Closes the queue, and opens it again as another process would. Absent if the queue ends with its process. */
  readonly reopen?: (queue: Queue) => Promise<Queue>
}

export interface QueueCheck {
  readonly name: string
  /** The queue has to outlive its process. */
  readonly isDurable?: true
  /** The queue has to have a bound of its own. */
  readonly isBounded?: true
  run(ground: Ground): Promise<void>
}

/** A time: no check uses a clock. */
export const NOW = 1_800_000_000_000
export const LEASE_MS = 60_000

interface EntryOptions extends Partial<QueueEnvelope> {
  readonly queuedAt?: number
  readonly messageId?: string
}

/** Makes an entry. @param recipients Addresses, whose domain is the destination */
export function entry(
  id: string,
  recipients: readonly (string | NewRecipient)[],
  { queuedAt = NOW, messageId = id, ...envelope }: EntryOptions = {},
): NewEntry {
  return {
    id,
    messageId,
    queuedAt,
    envelope: { reversePath: 'sender@example.org', body: '8BITMIME', smtpUtf8: false, ...envelope },
    recipients: recipients.map((recipient) =>
      typeof recipient === 'string' ? { address: recipient, destination: domainOf(recipient) } : recipient,
    ),
  }
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}

export function claimAll(queue: Queue, now: number = NOW): Promise<readonly Claim[]> {
  return queue.claim({ now, max: 1_000, leaseMs: LEASE_MS })
}

/** Makes a settlement with the same result for each claimed recipient. */
export function all(
  claim: Claim,
  result: Omit<RecipientResult, 'index'>,
  others: Omit<Settlement, 'claim' | 'results'> = {},
): Settlement {
  return { claim, results: claim.recipients.map(({ index }) => ({ index, ...result })), ...others }
}

/** Returns what was claimed, as `id destination`, in order. */
export function namesOf(claims: readonly Claim[]): string[] {
  return claims.map(({ id, destination }) => `${id} ${destination}`)
}

/** Returns the states of an entry's deliveries. */
export async function statesOf(queue: Queue, id: string): Promise<DeliveryState[]> {
  return (await queue.get(id))?.deliveries.map(({ state }) => state) ?? []
}

export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  const [one, other] = [textOf(actual), textOf(expected)]
  if (one !== other) throw new Error(`${what}: ${one}, not ${other}`)
}

/** Expects a rejection with this code, whose message is one line. */
export async function expectCode(code: QueueErrorCode, promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const { code: actual, message = '' } = (error ?? {}) as { readonly code?: unknown; readonly message?: string }
  if (actual !== code) throw new Error(`${String(error)} is not an error with the code ${code}`)
  if (message === '' || /[^\x20-\x7e]/.test(message)) throw new Error(`${JSON.stringify(message)} is not a line`)
  return message
}

/** The properties of an object in one order. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    return Object.fromEntries(Object.entries(each).toSorted(([one], [other]) => (one < other ? -1 : 1)))
  })
}
