/** Checks combinations of options before the server starts to listen. */
import { checkReverseDns } from './options/dns.ts'
import { checkPipes, checkTarget } from './options/front.ts'
import { checkGuards } from './options/policy.ts'
import { checkUser, checkWorkers } from './options/process.ts'
import { checkCertificate, checkListening, checkNeedOfTls } from './options/tls.ts'
import { checkRelay } from './options/relay.ts'
import { checkRules } from './options/rules.ts'
import { checkUsers } from './options/users.ts'
import { checkVerification } from './options/verification.ts'
import { checkProxies, checkWhereOfFront } from './options/where.ts'
import type { Settings } from './settings.ts'

/** Checks the options of `postern serve` against each other. @throws Failure if two contradict each other, or if one needs another. */
export function checkTogether(settings: Settings): void {
  checkCertificate(settings)
  checkPipes(settings)
  checkNeedOfTls(settings)
  checkUsers(settings)
  checkGuards(settings)
  checkReverseDns(settings)
  checkVerification(settings)
  checkRelay(settings)
  checkRules(settings)
  checkProxies(settings)
  checkWorkers(settings)
  checkUser(settings)
}

/** Does the same as {@link checkTogether} for `postern front`. @returns the URL that it pipes to. */
export function checkFront(settings: Settings): string {
  checkCertificate(settings)
  const to = checkTarget(settings)
  checkWhereOfFront(settings)
  checkListening(settings)
  checkUser(settings)
  return to
}
