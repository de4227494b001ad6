/** EXTERNAL: RFC 4422 appendix A. The client's TLS certificate names the user. */
import type { Accounts, Mechanism, SaslPeer, Step } from './mechanism.ts'
import { userOf } from './password.ts'
import { challenge, MALFORMED, REFUSED, textOf } from './text.ts'

export const external: Mechanism = {
  name: 'EXTERNAL',
  showsPassword: false,
  needs: 'certificate',
  isSupported: (accounts) => accounts.certificateUser !== undefined,
  start: (accounts, peer) => ({
    next(response) {
      if (response === undefined) return challenge('')
      const authorizationId = textOf(response)
      if (authorizationId === undefined || authorizationId.includes('\0')) return MALFORMED
      return check(accounts, peer, authorizationId)
    },
  }),
}

async function check(accounts: Accounts, { certificate }: SaslPeer, authorizationId: string): Promise<Step> {
  if (certificate?.verified !== true) return REFUSED
  const user = userOf(await accounts.certificateUser?.(certificate))
  return user !== undefined && (authorizationId === '' || authorizationId === user) ? { user } : REFUSED
}
