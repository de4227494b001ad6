/** Chooses the messages of a command by `--from`, `--to` and `--since`. */
import type { MailRecord } from '@postern/storage'
import { parseQuantity } from '../../config/values/quantity.ts'
import { parseTime, timeAt } from '../../config/values/time.ts'
import { Failure } from '../../host/failure.ts'

export interface FilterFlags {
  readonly from?: string
  readonly to?: string
}

export type Filter = (record: MailRecord) => boolean

/** Makes a filter by the addresses of the envelope. @throws Failure */
export function filterOf({ from, to }: FilterFlags): Filter {
  const isFrom = from === undefined ? undefined : matcherOf('--from', from)
  const isTo = to === undefined ? undefined : matcherOf('--to', to)
  return ({ reversePath, forwardPaths }) =>
    (isFrom === undefined || isFrom(reversePath.address)) &&
    (isTo === undefined || forwardPaths.some(({ address }) => isTo(address)))
}

/** @param text An address, `@` and a domain, or `<>` for the null reverse-path. Case does not matter */
function matcherOf(flag: string, text: string): (address: string) => boolean {
  const wanted = (text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1) : text).toLowerCase()
  if (wanted === '' && flag === '--from' && text !== '') return (address) => address === ''
  const hasDomain = wanted.includes('@') && !wanted.endsWith('@')
  if (hasDomain && wanted.startsWith('@')) return (address) => address.toLowerCase().endsWith(wanted)
  if (hasDomain || wanted === 'postmaster') return (address) => address.toLowerCase() === wanted
  const allowed = flag === '--from' ? 'an address, @ and a domain, or <> for bounces' : 'an address, or @ and a domain'
  throw new Failure(`${flag}: ${JSON.stringify(text)} is not ${allowed}`)
}

/** Reads a time such as `2026-11-30T10:00` (UTC if it names no zone), or a time ago such as `2h`. @throws Failure */
export function parseSince(text: string, now: number = Date.now()): Date {
  const ago = /^\d+$/.test(text) ? Number.NaN : parseQuantity(text, 'time')
  const since = parseTime(text) ?? timeAt(now - ago)
  if (since !== undefined) return since
  throw new Failure(
    `--since: ${JSON.stringify(text)} is neither a time such as 2026-11-30 or 2026-11-30T10:00Z, nor a time ago such as 2h or 30d`,
  )
}
