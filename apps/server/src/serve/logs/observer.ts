/** Makes the observer that writes events of sessions and messages to the log. */
import { keptEntry, type Observer, peerFields } from '@postern/intake'
import type { MailRecord } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Journal } from './journal.ts'
import { NOTICE } from './log.ts'

export interface LogObserverDeps {
  readonly log: Logger
  readonly journal: Journal
  /** Called with each message when it is durable. */
  kept(record: MailRecord): void
}

export function logObserver({ log, journal, kept }: LogObserverDeps): Observer {
  const notices = log.getChild(NOTICE)
  const { refusals, errors } = journal
  return {
    ...(log.isEnabledFor('debug') ? steps(log) : {}),
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
function steps(log: Logger): Observer {
  return {
    connected: ({ id, remote, local, reverseDns }) =>
      log.debug('connected', {
        sessionId: id,
        ...peerFields(remote),
        remoteName: reverseDns?.name,
        localPort: local.port,
      }),
    secured: (tls, { id }) => log.debug('secure', { sessionId: id, ...tls }),
    greeted: (hello, { id }) => log.debug('hello', { sessionId: id, ...hello }),
    closed: ({ id, messagesAccepted }) => log.debug('closed', { sessionId: id, messagesAccepted }),
    loggedIn: (login, { id, remote }) => log.debug('login', { sessionId: id, ...login, ...peerFields(remote) }),
  }
}
