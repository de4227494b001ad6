/** Tells the log what becomes of mail that is sent on. */
import type { RelayEvents } from '../options.ts'
import type { Claim } from '../queue/queue.ts'

/** Writes entries of a log. */
export type RelayLog = {
  readonly [Level in 'info' | 'warn' | 'error']: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

const MESSAGES = {
  delivered: 'message sent on',
  relayed: 'message sent on',
  failed: 'message given up',
  pending: 'message waits for another attempt',
} as const
const MAX_RECIPIENTS_SHOWN = 20

type Fields = Readonly<Record<string, unknown>>

/** @param errorText Returns an error as text. It never throws */
export function eventsFor(log: RelayLog, errorText: (error: unknown) => string): RelayEvents {
  const fields = ({ messageId, destination, envelope }: Claim): Fields => ({
    messageId,
    destination,
    from: envelope.reversePath,
  })
  return {
    attempted(claim, results, dueAt) {
      for (const { index, state, reply } of results) {
        const to = claim.recipients.find((recipient) => recipient.index === index)?.address
        const said = {
          to,
          host: reply?.host,
          reply: [reply?.code || '', reply?.enhancedCode, reply?.text].filter(Boolean).join(' '),
        }
        const next = state === 'pending' && dueAt !== undefined ? { dueAt: new Date(dueAt).toISOString() } : {}
        log[state === 'failed' ? 'warn' : 'info'](MESSAGES[state], { ...fields(claim), ...said, ...next })
      }
    },
    hopFailed: ({ host, address, port }, error) =>
      log.info('a server was passed over', { host, address, port, reason: errorText(error) }),
    unanswered: (claim) => log.warn('the reply to a message got lost; it may arrive twice', fields(claim)),
    reported: (claim, { kind, recipients }, id) =>
      log.info('report queued', {
        ...fields(claim),
        kind,
        reportId: id,
        about: recipients.slice(0, MAX_RECIPIENTS_SHOWN).map(({ address }) => address),
      }),
    failed: (error) => log.error('the relay failed; the message stays in the queue', { reason: errorText(error) }),
  }
}
