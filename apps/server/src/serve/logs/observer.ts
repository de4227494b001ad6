/** Makes the observer that writes events of sessions and messages to the log. */
import type { AddressRanges, Endpoint, Session } from '@postern/engine'
import { keptEntry, type Observer, peerFields } from '@postern/intake'
import type { MailRecord } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import type { Options } from '../../config/options.ts'
import { proxiesFor } from '../../config/urls/listener-policy.ts'
import { isTrustedProxy } from '../../config/urls/proxies.ts'
import type { Journal } from './journal.ts'
import { NOTICE } from './log.ts'
import { isPortCheck } from './refusals.ts'

export interface LogObserverDeps {
  readonly options: Pick<Options, 'listen' | 'proxyFrom'>
  readonly log: Logger
  readonly journal: Journal
  /** Clients whose steps are not logged. */
  readonly quiet: AddressRanges
  /** Called with each message when it is durable. */
  kept(record: MailRecord): void
}

export function logObserver({ options, log, journal, quiet, kept }: LogObserverDeps): Observer {
  const notices = log.getChild(NOTICE)
  const { refusals, errors } = journal
  return {
    ...(log.isEnabledFor('debug') ? steps(log, quiet) : {}),
    kept(record, session) {
      const { message, fields } = keptEntry(record, session)
      notices.info(message, fields)
      kept(record)
    },
    dropped: ({ message, fields }) => notices.info(message, fields),
    refused: (command, session, explanation) => refusals.note(command, session, explanation),
    lost: (message, session) => refusals.lost(session, message),
    arrivalFailed(error, session) {
      if (isPortCheck(error) && quiet.includes(error.remote)) return
      refusals.arrival(error, session, proxyOption(options, error.remote))
    },
    failed: (error, session, awaited) => errors.note(error, session, awaited),
  }
}

/** Returns the option that makes this address a proxy. Listeners may differ, so it may be either of two. */
function proxyOption(options: LogObserverDeps['options'], remote: Endpoint): string {
  const listeners = options.listen.filter((given) => isTrustedProxy(proxiesFor(given, options), remote))
  const names = listeners.map(({ policy }) => (policy.proxy === undefined ? '--proxy-from' : 'proxy= of --listen'))
  return [...new Set(names)].toSorted().join(' or ')
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
