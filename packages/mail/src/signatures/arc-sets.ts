/** The sets of ARC in a header (RFC 8617 4.2). */
import { type RawField, valueOf } from './raw-header.ts'
import { parseTags } from './tags.ts'

/** The fields of one instance. */
export interface ArcSet {
  seal?: RawField
  messageSignature?: RawField
  results?: RawField
}

export interface ArcSets {
  /** The set of instance 1 comes first. */
  readonly sets: readonly ArcSet[]
  /** Each set has its three fields, once. */
  readonly isWhole: boolean
}

/** RFC 8617 4.2.1. */
export const MAX_ARC_SETS = 50

const PARTS: ReadonlyMap<string, keyof ArcSet> = new Map([
  ['arc-seal', 'seal'],
  ['arc-message-signature', 'messageSignature'],
  ['arc-authentication-results', 'results'],
])

/** Finds the sets of a message by their instances. */
export function arcSetsIn(fields: readonly RawField[]): ArcSets {
  const sets: ArcSet[] = []
  let isWhole = true
  for (const field of fields) {
    const part = PARTS.get(field.name)
    if (part === undefined) continue
    const instance = instanceOf(field, part)
    const set = instance === undefined ? undefined : (sets[instance - 1] ??= {})
    if (set === undefined || set[part] !== undefined) isWhole = false
    else set[part] = field
  }
  const all = Array.from(sets, (set: ArcSet | undefined) => set ?? {})
  const hasAll = all.every((set) => [...PARTS.values()].every((part) => part in set))
  return { sets: all, isWhole: isWhole && hasAll }
}

function instanceOf(field: RawField, part: keyof ArcSet): number | undefined {
  const value = valueOf(field)
  // The results of others are no tag-list behind their instance.
  const tags = parseTags(part === 'results' ? value.slice(0, value.indexOf(';') + 1) : value)
  const text = tags?.get('i') ?? ''
  const instance = /^\d{1,2}$/.test(text) ? Number(text) : 0
  return instance >= 1 && instance <= MAX_ARC_SETS ? instance : undefined
}
