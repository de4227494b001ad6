/** What options mean together: combinations that can't be, refused before anything listens. */
import { checkPipes, checkTarget } from './options/front.ts'
import { checkWorkers } from './options/process.ts'
import { checkCertificate, checkListening, checkNeedOfTls } from './options/tls.ts'
import { checkUsers } from './options/users.ts'
import { checkProxies, checkWhereOfFront } from './options/where.ts'
import type { Settings } from './settings.ts'

/** @throws Failure on options of `postern serve` that contradict each other, or that need another one. */
export function checkTogether(settings: Settings): void {
  checkCertificate(settings)
  checkPipes(settings)
  checkNeedOfTls(settings)
  checkUsers(settings)
  checkProxies(settings)
  checkWorkers(settings)
}

/** As {@link checkTogether}, for `postern front`. @returns where it pipes to. */
export function checkFront(settings: Settings): string {
  checkCertificate(settings)
  const to = checkTarget(settings)
  checkWhereOfFront(settings)
  checkListening(settings)
  return to
}
