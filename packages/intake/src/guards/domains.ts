/** Accepts mail for some domains. Mail for others is accepted only from users who have logged in, and only if somebody sends it on. */
import { asciiDomain, type ForwardPath, type Reply, reply, type Session } from '@postern/engine'
import type { Guard } from '../guard.ts'

/** Stands for every domain. */
export const ANY_DOMAIN = '*'

export const DOMAIN_ALLOWED: string = `a domain such as example.com, *.example.com for all below it, or ${ANY_DOMAIN}`

export interface DomainsGuard extends Guard {
  rcpt(forwardPath: ForwardPath, session?: Pick<Session, 'user'>): Reply | undefined
}

export interface DomainsGuardOptions {
  /** Mail of users for other domains is sent on. Default false: it is refused. */
  readonly sendsOn?: boolean
}

const BELOW = `${ANY_DOMAIN}.`
const NOT_OURS = reply(550, '5.7.1', 'No mail is taken for this domain here')
const NOT_SENT = reply(550, '5.7.1', 'This server sends nothing on: only its own domains can be reached')

/**
 * Reads `example.com`, `*.example.com` or `*`, and returns it in lower case, with A-labels for letters of other scripts. Returns
 * undefined for any other text.
 */
export function parseDomain(text: string): string | undefined {
  if (text === ANY_DOMAIN) return text
  const isBelow = text.startsWith(BELOW)
  const domain = asciiDomain(isBelow ? text.slice(BELOW.length) : text)
  return isBelow && domain !== undefined ? `${BELOW}${domain}` : domain
}

/**
 * Refuses recipients in other domains with `550 5.7.1`. It never refuses `<postmaster>` without a domain (RFC 5321
 * 4.5.1). A domain is the same in all its spellings: A-labels and U-labels, any case.
 * @param domains In the form that {@link parseDomain} returns
 */
export function domainsGuard(domains: Iterable<string>, { sendsOn = false }: DomainsGuardOptions = {}): DomainsGuard {
  const names = new Set(domains)
  return {
    name: 'domains',
    rcpt(forwardPath, session) {
      const { domain } = forwardPath
      if (domain === '' || isAmong(names, asciiDomain(domain))) return undefined
      if (session?.user === undefined) return NOT_OURS
      if (!sendsOn) return NOT_SENT
      forwardPath.isElsewhere = true
      return undefined
    },
  }
}

function isAmong(names: ReadonlySet<string>, domain: string | undefined): boolean {
  if (names.has(ANY_DOMAIN)) return true
  // An address literal, or a name that only looks like a domain.
  if (domain === undefined) return false
  if (names.has(domain)) return true
  for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
    if (names.has(`${ANY_DOMAIN}${domain.slice(dot)}`)) return true
  }
  return false
}
