/** Reports about mail that is sent on: which are due, and the messages that tell them. */
export type {
  DueRecipient,
  DueReport,
  RecipientOutcome,
  ReportableEntry,
  ReportableRecipient,
  ReportKind,
} from './due.ts'
export { dueReports } from './due.ts'
export type {
  Action,
  Outcome,
  OutcomeReply,
  ReportedAddress,
  ReportedEnvelope,
  ReportedMessage,
  ReportedRecipient,
} from './facts.ts'
export type { Report, ReportOptions } from './report.ts'
export { makeReport } from './report.ts'
