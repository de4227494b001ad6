/** Makes the observer that writes events of sessions and messages to the log. */
import type { AddressRanges, Session } from '@postern/engine'
import { keptEntry, type Observer, peerFields } from '@postern/intake'
import type { MailRecord } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Journal } from './journal.ts'
import { NOTICE } from './log.ts'

export interface LogObserverDeps {
  readonly log: Logger
  readonly journal: Journal
  /** Clients whose steps are not logged. */
  readonly quiet: AddressRanges
  /** Called with each message when it is durable. */
  kept(record: MailRecord): void
}

export function logObserver({ log, journal, quiet, kept }: LogObserverDeps): Observer {
  const notices = log.getChild(NOTICE)
  const { refusals, errors } = journal
  return {
    ...(log.isEnabledFor('debug') ? steps(log, quiet) : {}),
    kept(record, session) {
      const { message, fields } = keptEntry(record, session)
      notices.info(message, fields)
      kept(record)
    },
    refused: (command, session, explanation) => refusals.note(command, session, explanation),
    lost: (message, session) => refusals.lost(session, message),
    arrivalFailed: (error, session) => refusals.arrival(error, session),
    failed: (error, session, awaited) => errors.note(error, session, awaited),
  }
}

/** Makes the observer of each step of a session, for level `debug`. */
function steps(log: Logger, quiet: AddressRanges): Observer {
  const debug = (message: string, { id, remote }: Session, fields: Record<string, unknown>): void => {
    if (!quiet.includes(remote)) log.debug(message, { sessionId: id, ...fields })
  }
  return {
    connected: (session) =>
      debug('connected', session, {
        ...peerFields(session.remote),
        remoteName: session.reverseDns?.name,
        localPort: session.local.port,
      }),
    secured: (tls, session) => debug('secure', session, { ...tls }),
    greeted: (hello, session) => debug('hello', session, { ...hello }),
    closed: (session) => debug('closed', session, { messagesAccepted: session.messagesAccepted }),
    loggedIn: (login, session) => debug('login', session, { ...login, ...peerFields(session.remote) }),
  }
}
