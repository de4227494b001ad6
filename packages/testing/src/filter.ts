/** Chooses the message that a test waits for. */
import { OptionError } from '@postern/engine'
import { checkFields } from './check.ts'
import type { TestMessage } from './message.ts'

/** A message matches if every given field matches. A string must be equal, a pattern must be found. */
export interface Filter {
  /** A recipient of the envelope. Addresses are compared in any case. */
  readonly to?: string | RegExp
  /** The sender of the envelope, or the address in the From field. */
  readonly from?: string | RegExp
  /** The decoded subject. */
  readonly subject?: string | RegExp
  /** The plain text. A string must be a part of it. */
  readonly text?: string | RegExp
  /** The message came later than this one. */
  readonly after?: TestMessage
  /** Returns whether the message matches, for any other condition. */
  where?(message: TestMessage): boolean
}

const TEXTS = ['to', 'from', 'subject', 'text'] as const

/** @throws OptionError */
export function checkFilter(filter: Filter, otherFields: readonly string[]): void {
  checkFields('waitFor', filter, [...TEXTS, 'after', 'where', ...otherFields])
  for (const name of TEXTS) {
    const wanted: unknown = filter[name]
    if (wanted === undefined || typeof wanted === 'string' || wanted instanceof RegExp) continue
    throw new OptionError(`waitFor.${name}`, wanted, 'a string or a pattern')
  }
  if (filter.where !== undefined && typeof filter.where !== 'function') {
    throw new OptionError('waitFor.where', filter.where, 'a function')
  }
}

/** Returns whether a message matches. Does not look at `after`. @throws what `where` throws */
export function matches(message: TestMessage, { to, from, subject, text, where }: Filter): boolean {
  const { envelope } = message
  if (to !== undefined && !envelope.to.some((address) => isAddress(address, to))) return false
  if (from !== undefined) {
    const senders = [envelope.from, message.from?.address ?? '']
    if (!senders.some((address) => isAddress(address, from))) return false
  }
  if (subject !== undefined && !isText(message.subject ?? '', subject)) return false
  if (typeof text === 'string' && !(message.text ?? '').includes(text)) return false
  if (text instanceof RegExp && !isText(message.text ?? '', text)) return false
  return where === undefined || where(message)
}

/** Returns the filter as a line: `to 'a@example.com', subject /welcome/i`. */
export function describeFilter(filter: Filter): string {
  const parts = TEXTS.flatMap((name) => {
    const wanted = filter[name]
    return wanted === undefined ? [] : [`${name} ${typeof wanted === 'string' ? `'${wanted}'` : String(wanted)}`]
  })
  if (filter.after !== undefined) parts.push(`after ${filter.after.id}`)
  if (filter.where !== undefined) parts.push('where …')
  return parts.length === 0 ? 'any message' : `a message with ${parts.join(', ')}`
}

function isAddress(address: string, wanted: string | RegExp): boolean {
  if (typeof wanted === 'string') return address.toLowerCase() === wanted.toLowerCase()
  return isText(address, wanted)
}

function isText(text: string, wanted: string | RegExp): boolean {
  if (typeof wanted === 'string') return text === wanted
  // A pattern with the flag g or y would begin at the end of its last match.
  wanted.lastIndex = 0
  return wanted.test(text)
}
