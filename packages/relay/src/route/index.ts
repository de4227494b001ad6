/** Where mail for a domain goes, and the TLS that each server must have. */
export type { Families } from './addresses.ts'
export type { DaneCheck, DaneFailure } from './dane/verification.ts'
export { DaneError, requireDane, verifyDane } from './dane/verification.ts'
export type {
  FailedRoute,
  FoundRoute,
  PolicyFacts,
  PolicyFailure,
  Route,
  RouteHost,
  Smarthost,
  TlsFailureType,
  TlsRequirement,
} from './outcome.ts'
export type { RouteOptions } from './route.ts'
export { route } from './route.ts'
export type { PolicyAnswer, PolicyFetch, PolicyFetchOptions } from './sts/fetch.ts'
export { webPolicyFetch } from './sts/fetch.ts'
export { readKeptPolicies } from './sts/kept.ts'
export type { KeptPolicy, StsLookup, StsOptions, StsPolicies } from './sts/policies.ts'
export { createStsPolicies } from './sts/policies.ts'
export type { StsPolicy } from './sts/policy.ts'
