/** Writes entries of a queue in words for people and as JSON. Replies come from strangers' servers, so each is one line that is safe for a terminal. */
import type { AttemptReply, QueueDelivery, QueueEntry, QueueRecipient } from '@postern/relay'
import { formatSize } from '../../config/values/quantity.ts'
import { safe } from '../../host/terminal.ts'

export const HEAD: readonly string[] = ['ID', 'AGE', 'SIZE', 'FROM', 'DESTINATION', 'ATTEMPTS', 'NEXT', 'LAST REPLY']

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const

/** Returns the row of one delivery. */
export function rowOf({ id, queuedAt, envelope }: QueueEntry, delivery: QueueDelivery, now: number): string[] {
  const { destination, attempts, recipients } = delivery
  const { reversePath, size } = envelope
  return [
    id,
    timeText(now - queuedAt),
    size === undefined ? '' : formatSize(size),
    `<${reversePath}>`,
    destination,
    String(attempts),
    nextText(delivery, now),
    replyText(lastReplyOf(recipients)),
  ].map(safe)
}

/** Says when a delivery is tried next. */
export function nextText({ state, dueAt }: QueueDelivery, now: number): string {
  if (state === 'held') return 'held'
  if (state === 'finished') return 'done'
  return dueAt <= now ? 'now' : `in ${timeText(dueAt - now)}`
}

export function replyText(reply: AttemptReply | undefined): string {
  if (reply === undefined) return ''
  const { code, enhancedCode, text, host } = reply
  const said = [code === 0 ? '' : String(code), enhancedCode, text].filter((part) => part !== '').join(' ')
  return host === '' ? said : `${said} (${host})`
}

/** Writes a time as `45 s`, `3 min`, `2 h` or `4 d`. */
export function timeText(ms: number): string {
  const [name, unit] = UNITS.find(([, least]) => ms >= least) ?? (['s', 1_000] as const)
  return `${Math.max(0, Math.floor(ms / unit))} ${name}`
}

/** Returns the last reply for those who still wait, or of all if nobody does. */
function lastReplyOf(recipients: readonly QueueRecipient[]): AttemptReply | undefined {
  const waiting = recipients.filter(({ state }) => state === 'pending')
  const replies = (waiting.length > 0 ? waiting : recipients).flatMap(({ lastReply }) => lastReply ?? [])
  return replies.toSorted((one, other) => other.at - one.at)[0]
}
