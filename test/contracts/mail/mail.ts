/** The contract of every MailStore, with any backend. */
import { changed } from './changed.ts'
import { listed } from './listed.ts'
import { apart } from './apart.ts'
import { saved } from './saved.ts'
import type { MailCheck } from './opened.ts'

export const mailChecks: readonly MailCheck[] = [...saved, ...listed, ...changed, ...apart]
