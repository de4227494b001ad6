/** @postern/testing: an SMTP server for tests of programs that send mail. */
export type { Fault, Faults, Refuse, Stage } from './faults.ts'
export type { Filter } from './filter.ts'
export type { TestInbox, WaitOptions } from './inbox.ts'
export { testInbox } from './inbox.ts'
export type { Attachment, Field, Mailbox, TestMessage } from './message.ts'
export { NoMessageError } from './arrivals.ts'
export type { TestInboxOptions } from './options.ts'
