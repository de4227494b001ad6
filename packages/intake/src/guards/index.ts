/** `@postern/intake/guards`: guards that come with Postern. */
export { GUARD_ALLOWED, isGuard } from '../guard.ts'
export type { DomainsGuard } from './domains.ts'
export type { ReverseDnsOptions } from './reverse-dns.ts'
export { reverseDnsGuard } from './reverse-dns.ts'
export { ANY_DOMAIN, DOMAIN_ALLOWED, domainsGuard, parseDomain } from './domains.ts'
export { rulesGuard, type RulesGuardOptions } from './rules.ts'
export type { AccountsGuard, AccountsGuardOptions, AddressBook } from './accounts.ts'
export { accountsGuard } from './accounts.ts'
