/** `@postern/intake/guards`: who is refused, and why. */
export type { DomainsGuard } from './domains.ts'
export { ANY_DOMAIN, DOMAIN_ALLOWED, domainsGuard, parseDomain } from './domains.ts'
