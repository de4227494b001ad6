/**
 * Makes the engine and its store from the settings. An isolate has one, which all entry points use.
 *
 * Limits on connections hold for one isolate. Cloudflare decides how many isolates it runs.
 */
import { createServer, LIMIT_RULES, type Server, type Session } from '@postern/engine'
import { intake, keptEntry, type Observer, refusedEntry, sessionFields, storeDeadlineMs } from '@postern/intake'
import { type BlobStore, type MailStore, mailStore } from '@postern/storage'
import { r2 } from '@postern/storage/r2'
import { disk } from '@postern/worker/disk'
import type { Env } from './env.ts'
import { errorText, log } from '@postern/worker'
import { policy } from './policy.ts'
import { readSettings, type Settings } from '@postern/worker/settings'

/** Smaller than the engine's default, because an isolate has only 128 MiB. */
const MAX_TOTAL_ENVELOPE_OCTETS = 16 * 1024 * 1024
/** The greatest number of refusals of one session that are logged, because a client may send bad recipients without end. */
const MAX_LOGGED_REFUSALS = 20

export interface Intake {
  readonly settings: Settings
  readonly mail: MailStore
  readonly server: Server
}

/** Intakes by environment. After a deployment that changes only vars, the same isolate may get another environment. */
const intakes = new WeakMap<Env, Intake>()

/** Returns the engine of this environment. @throws OptionError if a setting is wrong; Error if a binding is missing */
export function intakeOf(env: Env): Intake {
  let intake = intakes.get(env)
  if (intake === undefined) {
    intake = openIntake(env)
    intakes.set(env, intake)
  }
  return intake
}

function openIntake(env: Env): Intake {
  const settings = readSettings(env)
  const mail = mailStore(openStore(env, settings))
  const { auth, ...handlers } = policy(settings, env)
  const server = createServer({
    hostname: settings.hostname,
    limits: { maxTotalEnvelopeOctets: MAX_TOTAL_ENVELOPE_OCTETS, ...settings.limits },
    ...(auth !== undefined && { auth }),
    ...intake({ store: mail, handlers, observer: logObserver() }),
  })
  return { settings, mail, server }
}

function openStore({ MAIL, DISK }: Env, { limits }: Settings): BlobStore {
  const deadlineMs = storeDeadlineMs(limits.hookTimeoutMs ?? LIMIT_RULES.hookTimeoutMs.byDefault)
  if (MAIL !== undefined) return r2(MAIL, { deadlineMs })
  if (DISK !== undefined) return disk(() => DISK.getByName('mail'))
  throw new Error('the binding MAIL is missing: it must be an R2 bucket, which stores the mail')
}

/** Makes the observer that writes events of sessions and messages to the log. */
function logObserver(): Observer {
  /** How many refusals of a session were logged. */
  const refusalCounts = new WeakMap<Session, number>()
  return {
    kept(record, session) {
      const { message, fields } = keptEntry(record, session)
      log('info', message, fields)
    },
    refused(refused, session, explanation) {
      const count = session === undefined ? 1 : (refusalCounts.get(session) ?? 0) + 1
      if (session !== undefined) refusalCounts.set(session, count)
      if (count > MAX_LOGGED_REFUSALS) return
      const { message, fields } = refusedEntry(refused, session, explanation)
      const isLast = count === MAX_LOGGED_REFUSALS
      log('info', message, { ...fields, ...(isLast && { note: 'further refusals of this session are not logged' }) })
    },
    lost: (message, session) =>
      log('info', 'message refused', { ...sessionFields(session, session.remote), ...message }),
    arrivalFailed: (error, session) =>
      log('info', 'TLS handshake failed', { ...sessionFields(session, error.remote), reason: error.message }),
    failed: (error, session) =>
      log('error', 'an error in a session', {
        ...(session && sessionFields(session, session.remote)),
        error: errorText(error),
      }),
  }
}
