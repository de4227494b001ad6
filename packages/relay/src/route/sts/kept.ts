/** Reads policies of MTA-STS that an earlier process kept. */
import type { KeptPolicy } from './policies.ts'
import { isPolicy } from './policy.ts'

/** Reads a JSON text of what `StsPolicies.kept` returned. Returns undefined if it is anything else. */
export function readKeptPolicies(text: string): readonly KeptPolicy[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return Array.isArray(value) && value.every(isKept) ? value : undefined
}

function isKept(value: unknown): value is KeptPolicy {
  if (typeof value !== 'object' || value === null) return false
  const { domain, id, fetchedAt, policy } = value as { readonly [Name in keyof KeptPolicy]: unknown }
  return typeof domain === 'string' && typeof id === 'string' && Number.isSafeInteger(fetchedAt) && isPolicy(policy)
}
