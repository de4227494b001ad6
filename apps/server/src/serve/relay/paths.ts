/** The paths of a server's queue, and of the messages beside it. */
import { join } from 'node:path'

/** @param directory The option `queue` */
export function queuePath(directory: string): string {
  return join(directory, 'queue.sqlite')
}

/** Policies of MTA-STS. @param directory The option `queue` */
export function stsPoliciesPath(directory: string): string {
  return join(directory, 'sts-policies.json')
}

/** The counts for reports on TLS. @param directory The option `queue` */
export function tlsReportsPath(directory: string): string {
  return join(directory, 'tls-reports.json')
}

/** @param directory The option `queue` */
export function spoolPath(directory: string): string {
  return join(directory, 'spool')
}
