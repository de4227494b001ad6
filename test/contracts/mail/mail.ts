/** What a MailStore does, whatever is below it. */
import { changed } from './changed.ts'
import { listed } from './listed.ts'
import { saved } from './saved.ts'
import type { MailCheck } from './opened.ts'

export const mailChecks: readonly MailCheck[] = [...saved, ...listed, ...changed]
