/** The accounts of a Worker: who receives mail, and who may log in. */
import { LIMIT_RULES } from '@postern/engine'
import type { IntakeAuth } from '@postern/intake'
import { type Directory, fitsScram, Identities } from '@postern/intake/directory'
import { authenticator, PromptLogins } from '@postern/intake/prompt-logins'
import type { Settings } from './settings.ts'

/** Password checks of an isolate at the same time. Each takes some 20 ms of a core. */
const MAX_CHECKS = 4

/** Makes the logins for the accounts of the settings. */
export function loginsFor(directory: Directory, { limits }: Settings): IntakeAuth {
  const identities = new Identities([directory])
  const { maxFailedAuths = LIMIT_RULES.maxFailedAuths.byDefault } = limits
  return {
    makeLogins: (own) =>
      authenticator({
        own,
        identities: () => identities,
        kinds: { ...identities.kinds, certificate: false },
        maxFailedAuths,
        logins: new PromptLogins({
          maxAtOnce: MAX_CHECKS,
          // The settings have no other records.
          check: async ({ password, expected }) => expected.kind === 'scram' && fitsScram(password, expected),
        }),
      }),
  }
}
