/** Reports on TLS (RFC 8460) for the domains that mail was sent to. */
export type { DomainCounts, PolicyCounts, TlsCounterOptions, TlsFailure } from './counts.ts'
export { TlsCounter } from './counts.ts'
export type { ReportTargets } from './record.ts'
export { reportTargets } from './record.ts'
export type { TlsReport, TlsReportMailOptions, TlsReportOptions } from './report.ts'
export { compressed, TLS_REPORT_TYPE, tlsReport, tlsReportMail } from './report.ts'
