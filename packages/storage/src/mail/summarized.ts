/** Makes the summary of a message while a store saves it. */
import { type MailSummary, SummaryReader } from '@postern/mail/summary'
import type { IncomingMail, MailFacts } from '../record/incoming.ts'

const LF = 10
const SPACE = 32
const TAB = 9

/** Returns the same message. Its facts have the summary of what the store writes: the trace header, which may have added fields, and the bytes. */
export function summarized(message: IncomingMail): IncomingMail {
  const reader = new SummaryReader()
  let summary: MailSummary | undefined
  let isBroken = false
  // A mistake in the reader must not refuse a message, because its sender would send it again and again.
  const attempt = (read: () => void): void => {
    if (isBroken) return
    try {
      read()
    } catch {
      isBroken = true
    }
  }
  const seen = (bytes: Uint8Array | null): Uint8Array | null => {
    if (bytes !== null) attempt(() => reader.write(bytes))
    return bytes
  }
  const withSummary = (facts: MailFacts | undefined): MailFacts => {
    attempt(() => (summary = reader.end()))
    return { ...facts, ...(summary !== undefined && !isBroken && { summary }) }
  }
  const { id, envelope, receivedAt, trace } = message
  if (hasSeveralFields(trace)) attempt(() => reader.write(trace))
  return {
    id,
    envelope,
    receivedAt,
    trace,
    read() {
      const bytes = message.read()
      return bytes instanceof Promise ? bytes.then(seen) : seen(bytes)
    },
    facts() {
      const facts = message.facts?.()
      return facts instanceof Promise ? facts.then(withSummary) : withSummary(facts)
    },
  }
}

/** Received alone, as it usually is, says nothing for a summary. */
function hasSeveralFields(trace: Uint8Array): boolean {
  for (let lf = trace.indexOf(LF); lf >= 0 && lf + 1 < trace.length; lf = trace.indexOf(LF, lf + 1)) {
    const first = trace[lf + 1]
    if (first !== SPACE && first !== TAB) return true
  }
  return false
}
