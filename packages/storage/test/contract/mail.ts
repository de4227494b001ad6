/** What a MailStore does, whatever is below it. */
import { changed } from './mail-changed.ts'
import { listed } from './mail-listed.ts'
import { saved } from './mail-saved.ts'
import type { MailCheck } from './mailing.ts'

export const mailChecks: readonly MailCheck[] = [...saved, ...listed, ...changed]
