/** A resolver whose records are in a test. It needs no socket, so it runs on each runtime. */
import type { Answer, Records, RecordType, Resolver } from '@postern/dns/names'

/** The records of a name by their type. `SERVFAIL` and `TIMEOUT` are for types that are not there. */
export type ZoneRecords = { readonly [Type in RecordType]?: readonly unknown[] } & {
  readonly fails?: 'servfail' | 'timeout'
}

/** By names in lower case. */
export type Zone = Readonly<Record<string, ZoneRecords>>

/** @param ask Called with each question */
export function zoneResolver(zone: Zone, ask?: (name: string, type: string) => void): Resolver {
  const resolve = async <Type extends RecordType>(name: string, type: Type, followed = 0): Promise<Answer<Type>> => {
    if (followed === 0) ask?.(name, type)
    const key = name.toLowerCase().replace(/\.$/, '')
    const found = zone[key]
    const absent = { ttlSeconds: 60, isAuthentic: false } as const
    // A name above another one exists.
    const isAbove = Object.keys(zone).some((other) => other.endsWith(`.${key}`))
    if (found === undefined) return { status: isAbove ? 'nodata' : 'nxdomain', ...absent }
    const records = found[type]
    if (records !== undefined && records.length > 0) {
      return {
        status: 'found',
        records: records.map((one) => recordOf(type, one)) as Records[Type][],
        name: key,
        ...absent,
      }
    }
    const [alias] = (found.CNAME ?? []) as readonly string[]
    if (followed > 10) return { status: 'failed', reason: 'loop', detail: 'as the test wants' }
    if (alias !== undefined) return resolve(alias, type, followed + 1)
    if (found.fails !== undefined) return { status: 'failed', reason: found.fails, detail: 'as the test wants' }
    return { status: 'nodata', ...absent }
  }
  return { resolve: (name, type) => resolve(name, type) }
}

/** Records of TXT by their names. */
export function textZone(texts: Readonly<Record<string, string | readonly string[]>>): Zone {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name.toLowerCase(), { TXT: [text].flat() }]))
}

function recordOf(type: RecordType, record: unknown): unknown {
  if (type !== 'TXT') return record
  const strings = [record].flat() as string[]
  return { strings, text: strings.join('') }
}
