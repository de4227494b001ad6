/** Policies of MTA-STS: RFC 8461 3.1, 3.2 and 4.1. */
import { asciiDomain } from '@postern/engine'
import type { PolicyFacts } from '../outcome.ts'

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none'
  readonly maxAgeSeconds: number
  /** Domains in lower case. One may begin with `*.`. */
  readonly mx: readonly string[]
}

/** A policy has a few lines. Each line costs time for each host. */
const MAX_PATTERNS = 500
/** About a year, which RFC 8461 3.2 sets. */
const MAX_AGE_SECONDS = 31_557_600
const MODES = ['enforce', 'testing', 'none'] as const
const ID = /^[A-Za-z0-9]{1,32}$/
const AGE = /^[0-9]{1,10}$/

/** Returns the id of the record of a domain; undefined if it has no policy. @param texts All TXT records of `_mta-sts` */
export function recordId(texts: readonly string[]): string | undefined {
  const records = texts.map(tagsOf).filter(([version]) => version?.[0] === 'v' && version[1] === 'STSv1')
  // With several records it is not known which one counts (RFC 8461 3.1).
  const [record] = records
  if (record === undefined || records.length > 1) return undefined
  const id = record.find(([name]) => name === 'id')?.[1]
  return id !== undefined && ID.test(id) ? id : undefined
}

/** Splits `v=STSv1; id=2026;`. */
function tagsOf(text: string): readonly (readonly [string, string])[] {
  return text.split(';').map((field) => {
    const equals = field.indexOf('=')
    return [field.slice(0, Math.max(0, equals)).trim(), field.slice(equals + 1).trim()] as const
  })
}

/** Reads a policy. Returns a text that says what is wrong with it, if anything is. */
export function parsePolicy(text: string): StsPolicy | string {
  const values = new Map<string, string>()
  const mx: string[] = []
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0) {
      if (line.trim() === '') continue
      return 'a line has no colon'
    }
    const key = line.slice(0, colon).trim()
    const value = line.slice(colon + 1).trim()
    if (key === 'mx') {
      const pattern = parsePattern(value)
      if (pattern === undefined) return 'an mx is not a host name'
      if (mx.push(pattern) > MAX_PATTERNS) return `it has more than ${MAX_PATTERNS} mx`
    } else if (!values.has(key)) values.set(key, value)
  }
  if (values.get('version') !== 'STSv1') return 'its version is not STSv1'
  const mode = MODES.find((mode) => mode === values.get('mode'))
  if (mode === undefined) return 'its mode is not enforce, testing or none'
  const age = values.get('max_age') ?? ''
  if (!AGE.test(age)) return 'its max_age is not a number'
  if (mx.length === 0 && mode !== 'none') return 'it has no mx'
  return { mode, maxAgeSeconds: Math.min(Number(age), MAX_AGE_SECONDS), mx }
}

/** Returns whether plain data is a policy as {@link parsePolicy} makes it. */
export function isPolicy(value: unknown): value is StsPolicy {
  if (typeof value !== 'object' || value === null) return false
  const { mode, maxAgeSeconds, mx } = value as { readonly [Name in keyof StsPolicy]: unknown }
  const isAge = Number.isSafeInteger(maxAgeSeconds) && (maxAgeSeconds as number) <= MAX_AGE_SECONDS
  const areHosts = Array.isArray(mx) && mx.length <= MAX_PATTERNS && mx.every((host) => typeof host === 'string')
  return MODES.some((known) => known === mode) && isAge && areHosts
}

function parsePattern(text: string): string | undefined {
  const isWild = text.startsWith('*.')
  const domain = asciiDomain(isWild ? text.slice(2) : text)
  return domain === undefined || domain.startsWith('_') ? undefined : `${isWild ? '*.' : ''}${domain}`
}

/** Returns whether the policy lists this host. `*.` stands for one label (RFC 8461 4.1). */
export function isAllowed({ mx }: StsPolicy, host: string): boolean {
  const parent = host.slice(host.indexOf('.') + 1)
  const wild = host.includes('.') ? `*.${parent}` : undefined
  return mx.some((pattern) => pattern === host || pattern === wild)
}

export function factsOf(domain: string, { mode, maxAgeSeconds, mx }: StsPolicy): PolicyFacts {
  const strings = ['version: STSv1', `mode: ${mode}`, ...mx.map((host) => `mx: ${host}`), `max_age: ${maxAgeSeconds}`]
  return { type: 'sts', domain, strings, mxHosts: mx }
}
