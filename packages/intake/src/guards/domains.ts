/** Accepts mail only for some domains. Postern relays nothing, so accepted mail for other domains would be lost. */
import { type ForwardPath, type Reply, reply } from '@postern/engine'
import type { Guard } from '../guard.ts'

/** Stands for every domain. */
export const ANY_DOMAIN = '*'

export const DOMAIN_ALLOWED: string = `a domain such as example.com, *.example.com for all below it, or ${ANY_DOMAIN}`

export interface DomainsGuard extends Guard {
  rcpt(forwardPath: ForwardPath): Reply | undefined
}

const DOMAIN = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/
const BELOW = `${ANY_DOMAIN}.`
const NOT_OURS = reply(550, '5.7.1', 'No mail is taken for this domain here')

/** Reads `example.com`, `*.example.com` or `*`, and returns it in lower case. Returns undefined for any other text. */
export function parseDomain(text: string): string | undefined {
  const domain = text.toLowerCase()
  const name = domain.startsWith(BELOW) ? domain.slice(BELOW.length) : domain
  return domain === ANY_DOMAIN || DOMAIN.test(name) ? domain : undefined
}

/**
 * Refuses recipients in other domains with `550 5.7.1`. It never refuses `<postmaster>` without a domain (RFC 5321
 * 4.5.1).
 * @param domains In the form that {@link parseDomain} returns
 */
export function domainsGuard(domains: Iterable<string>): DomainsGuard {
  const names = new Set(domains)
  return {
    name: 'domains',
    rcpt: ({ domain }) => (domain === '' || isAmong(names, domain.toLowerCase()) ? undefined : NOT_OURS),
  }
}

function isAmong(names: ReadonlySet<string>, domain: string): boolean {
  if (names.has(domain) || names.has(ANY_DOMAIN)) return true
  for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
    if (names.has(`${ANY_DOMAIN}${domain.slice(dot)}`)) return true
  }
  return false
}
