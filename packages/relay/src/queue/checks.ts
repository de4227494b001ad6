/** Checks of what callers give to a queue. A mistake is a {@link QueueError} `invalid`, which names the field. */
import type { NewEntry, NewRecipient, QueueEnvelope, QueueRecipient } from './entry.ts'
import { QueueError } from './error.ts'
import type { ClaimOptions, ListQueueOptions, Settlement } from './queue.ts'

export const MAX_ENTRIES = 1_000
export const MAX_RECIPIENTS = 10_000
const MAX_ADDRESS = 1_000
/** Ten signatures and a chain. */
const MAX_RESULTS = 8_000
const MAX_TEXT = 1_000
const MAX_DESTINATION = 255
const ID = /^[A-Za-z0-9._-]{1,128}$/
const DESTINATION = /^[!-~]{1,255}$/
const NOTIFY: readonly unknown[] = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY']
const BODIES: readonly unknown[] = ['7BIT', '8BITMIME', 'BINARYMIME']

/** An entry as a backend stores it: checked, with only the fields that a queue knows, and with its recipients grouped. */
export interface PreparedEntry extends Pick<NewEntry, 'id' | 'messageId' | 'queuedAt' | 'envelope'> {
  readonly priority: number
  /** 0 if the sender asked for none. */
  readonly holdUntil: number
  readonly deliveries: readonly PreparedDelivery[]
}

export interface PreparedDelivery {
  readonly destination: string
  readonly recipients: readonly QueueRecipient[]
}

/**
 * @param options `maxTogether` is how many recipients one delivery may have
 * @throws QueueError `invalid`
 */
export function prepareEntries(
  entries: readonly NewEntry[],
  { field = 'entries', maxTogether = MAX_RECIPIENTS }: { readonly field?: string; readonly maxTogether?: number } = {},
): PreparedEntry[] {
  if (entries.length > MAX_ENTRIES) throw invalid(field, `${entries.length} entries are more than ${MAX_ENTRIES}`)
  const recipients = entries.reduce((sum, entry) => sum + entry.recipients.length, 0)
  if (recipients > MAX_RECIPIENTS) throw invalid(field, `${recipients} recipients are more than ${MAX_RECIPIENTS}`)
  return entries.map((entry, at) => {
    const prepared = prepareEntry(entry, `${field}[${at}]`)
    const most = Math.max(...prepared.deliveries.map((delivery) => delivery.recipients.length))
    if (most > maxTogether)
      throw invalid(`${field}[${at}].recipients`, `${most} for one destination are more than ${maxTogether}`)
    return prepared
  })
}

function prepareEntry(entry: NewEntry, field: string): PreparedEntry {
  const { id, messageId, queuedAt, recipients } = entry
  if (!ID.test(id)) throw invalid(`${field}.id`, `${shown(id)} is not 1 to 128 of A-Z a-z 0-9 . _ -`)
  checkText(messageId, `${field}.messageId`, MAX_TEXT, 1)
  checkTime(queuedAt, `${field}.queuedAt`)
  const envelope = prepareEnvelope(entry.envelope, `${field}.envelope`)
  if (recipients.length === 0) throw invalid(`${field}.recipients`, 'there is none')
  const groups = new Map<string, QueueRecipient[]>()
  for (const [at, recipient] of recipients.entries()) {
    const prepared = prepareRecipient(recipient, `${field}.recipients[${at}]`)
    const group = groups.get(recipient.destination)
    if (group === undefined) groups.set(recipient.destination, [prepared])
    else group.push(prepared)
  }
  const deliveries = [...groups].map(([destination, group]) => ({ destination, recipients: group }))
  const { priority = 0, holdUntil = 0 } = envelope
  return { id, messageId, queuedAt, envelope, priority, holdUntil, deliveries }
}

function prepareEnvelope(envelope: QueueEnvelope, field: string): QueueEnvelope {
  const {
    reversePath,
    body,
    smtpUtf8,
    size,
    ret,
    envelopeId,
    requireTls,
    isTlsReport,
    priority,
    deliverBy,
    holdUntil,
    forwardedBy,
    arrival,
  } = envelope
  checkText(reversePath, `${field}.reversePath`, MAX_ADDRESS)
  if (!BODIES.includes(body)) throw invalid(`${field}.body`, `${shown(body)} is not a body type`)
  if (typeof smtpUtf8 !== 'boolean') throw invalid(`${field}.smtpUtf8`, `${shown(smtpUtf8)} is not true or false`)
  if (size !== undefined) checkTime(size, `${field}.size`)
  if (ret !== undefined && ret !== 'FULL' && ret !== 'HDRS') throw invalid(`${field}.ret`, `${shown(ret)} is unknown`)
  if (envelopeId !== undefined) checkText(envelopeId, `${field}.envelopeId`, MAX_TEXT)
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 9))
    throw invalid(`${field}.priority`, `${shown(priority)} is not a whole number from -9 to 9`)
  if (deliverBy !== undefined) checkTime(deliverBy.deadline, `${field}.deliverBy.deadline`)
  if (holdUntil !== undefined) checkTime(holdUntil, `${field}.holdUntil`)
  if (arrival !== undefined) checkText(arrival.results, `${field}.arrival.results`, MAX_RESULTS, 1)
  if (forwardedBy !== undefined) checkText(forwardedBy, `${field}.forwardedBy`, MAX_ADDRESS, 1)
  return {
    reversePath,
    body,
    smtpUtf8,
    ...(size !== undefined && { size }),
    ...(ret !== undefined && { ret }),
    ...(envelopeId !== undefined && { envelopeId }),
    ...(requireTls === true && { requireTls }),
    ...(isTlsReport === true && { isTlsReport }),
    ...(priority !== undefined && { priority }),
    ...(deliverBy !== undefined && {
      deliverBy: { deadline: deliverBy.deadline, mode: deliverBy.mode, trace: deliverBy.trace },
    }),
    ...(holdUntil !== undefined && { holdUntil }),
    ...(forwardedBy !== undefined && { forwardedBy }),
    ...(arrival !== undefined && { arrival: { chain: arrival.chain, results: arrival.results } }),
  }
}

function prepareRecipient(recipient: NewRecipient, field: string): QueueRecipient {
  const { address, destination, notify, originalRecipient } = recipient
  checkText(address, `${field}.address`, MAX_ADDRESS, 1)
  if (!DESTINATION.test(destination)) {
    throw invalid(`${field}.destination`, `${shown(destination)} is not 1 to ${MAX_DESTINATION} printable characters`)
  }
  if (notify !== undefined && !notify.every((each) => NOTIFY.includes(each)))
    throw invalid(`${field}.notify`, `${shown(notify.join())} is unknown`)
  if (originalRecipient !== undefined) {
    checkText(originalRecipient.addressType, `${field}.originalRecipient.addressType`, MAX_TEXT)
    checkText(originalRecipient.address, `${field}.originalRecipient.address`, MAX_ADDRESS)
  }
  return {
    address,
    ...(notify !== undefined && { notify: [...new Set(notify)] }),
    ...(originalRecipient !== undefined && {
      originalRecipient: { addressType: originalRecipient.addressType, address: originalRecipient.address },
    }),
    state: 'pending',
    attempts: 0,
    isDelayNotified: false,
  }
}

/** @throws QueueError `invalid` */
export function checkClaim({ now, max, leaseMs, maxPerDestination }: ClaimOptions): void {
  checkTime(now, 'now')
  checkRange(max, 'max', 1, MAX_ENTRIES)
  checkRange(leaseMs, 'leaseMs', 1, 2 ** 40)
  if (maxPerDestination !== undefined && typeof maxPerDestination !== 'function')
    checkRange(maxPerDestination, 'maxPerDestination', 1, Number.MAX_SAFE_INTEGER)
}

/** @throws QueueError `invalid` */
export function checkSettlements(settlements: readonly Settlement[]): void {
  checkRange(settlements.length, 'settlements', 0, MAX_ENTRIES)
  for (const [at, { dueAt, results }] of settlements.entries()) {
    if (dueAt !== undefined) checkTime(dueAt, `settlements[${at}].dueAt`)
    for (const { reply } of results) if (reply !== undefined) checkTime(reply.at, `settlements[${at}].reply.at`)
  }
}

/** Checks the options of `list`. @throws QueueError `invalid` */
export function checkList({ limit = 100, cursor }: ListQueueOptions): { limit: number; after: number } {
  checkRange(limit, 'limit', 1, MAX_ENTRIES)
  const after = cursor === undefined ? 0 : Number(cursor)
  if (cursor === '' || !Number.isSafeInteger(after) || after < 0)
    throw invalid('cursor', `${shown(cursor)} is not a cursor of this queue`)
  return { limit, after }
}

/** @throws QueueError `invalid` */
export function checkRange(value: number, field: string, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw invalid(field, `${shown(value)} is not a whole number from ${least} to ${most}`)
}

/** @throws QueueError `invalid` */
export function checkTime(value: number, field: string): void {
  checkRange(value, field, 0, Number.MAX_SAFE_INTEGER)
}

function checkText(value: string, field: string, most: number, least: number = 0): void {
  if (typeof value !== 'string' || value.length < least || value.length > most)
    throw invalid(field, `it has to be a text of ${least} to ${most} characters`)
}

export function invalid(field: string, problem: string): QueueError {
  return new QueueError('invalid', `${field}: ${problem}`)
}

/** Makes any value short and printable for a message. */
function shown(value: unknown): string {
  return JSON.stringify(String(value).slice(0, 100))
}
