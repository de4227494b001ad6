/** What a MailStore does, whatever is below it. */
import type { Check } from './check.ts'
import { changed } from './mail-changed.ts'
import { listed } from './mail-listed.ts'
import { saved } from './mail-saved.ts'

export const mailChecks: readonly Check[] = [...saved, ...listed, ...changed]
