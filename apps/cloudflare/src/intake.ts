/**
 * From settings to a running engine, with the store behind it. An isolate has one, and every door leads to it.
 *
 * The limits on connections are those of one isolate; Cloudflare runs as many of them as it sees fit.
 */
import {
  ArrivalError,
  createServer,
  type Handlers,
  isReply,
  LIMIT_RULES,
  type RefusedCommand,
  type Server,
  type Session,
} from '@postern/engine'
import { type BlobStore, keep, type MailStore, mailStore } from '@postern/storage'
import { r2 } from '@postern/storage/r2'
import { disk } from './disk/store.ts'
import type { Env } from './env.ts'
import { errorText, log } from './log.ts'
import { policy } from './policy.ts'
import { readSettings, type Settings } from './settings.ts'

/** Two blobs are a message: both have to be stored, or given up, while the engine still waits for its answer. */
const SHARE_OF_HOOK_TIME = 0.4
const MAX_DEADLINE_MS = 60_000
/** An isolate has 128 MiB for everything. */
const MAX_TOTAL_ENVELOPE_OCTETS = 16 * 1024 * 1024
/** Refusals of one session that are logged. A client may send bad recipients without end. */
const MAX_LOGGED_REFUSALS = 20

export interface Intake {
  readonly settings: Settings
  readonly mail: MailStore
  readonly server: Server
}

/** A deployment that changes nothing but vars may come to an isolate that ran before: it then has another environment. */
const intakes = new WeakMap<Env, Intake>()

/** The engine of this deployment. @throws OptionError where a setting is wrong or a binding is missing */
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
  const { auth, ...hooks } = policy(settings, env)
  const server = createServer({
    hostname: settings.hostname,
    limits: { maxTotalEnvelopeOctets: MAX_TOTAL_ENVELOPE_OCTETS, ...settings.limits },
    ...(auth !== undefined && { auth }),
    ...hooks,
    data: dataHook(hooks, mail),
    refused(refused, session) {
      noteRefusal(refused, session)
      return hooks.refused?.(refused, session)
    },
    error(error, session) {
      if (error instanceof ArrivalError)
        log('info', 'TLS handshake failed', { ...peerOf(session), reason: error.message })
      else log('error', 'failed', { ...peerOf(session), error: errorText(error) })
    },
  })
  return { settings, mail, server }
}

function openStore({ MAIL, DISK }: Env, { limits }: Settings): BlobStore {
  const hookTimeoutMs = limits.hookTimeoutMs ?? LIMIT_RULES.hookTimeoutMs.byDefault
  const deadlineMs = Math.max(1, Math.min(MAX_DEADLINE_MS, hookTimeoutMs * SHARE_OF_HOOK_TIME))
  if (MAIL !== undefined) return r2(MAIL, { deadlineMs })
  if (DISK !== undefined) return disk(() => DISK.getByName('mail'))
  throw new Error('the binding MAIL is missing: an R2 bucket, in which mail is kept')
}

/** The policy's own hook first; what it says nothing about is kept. */
function dataHook(hooks: Handlers, mail: MailStore): NonNullable<Handlers['data']> {
  const keepInStore = keep(mail, {
    kept: ({ id, size, reversePath, forwardPaths }, session) =>
      log('info', 'message kept', {
        messageId: id,
        size,
        from: reversePath.address,
        to: forwardPaths.map(({ address }) => address),
        ...peerOf(session),
      }),
  })
  return async (message, session) => {
    const verdict = await hooks.data?.(message, session)
    if (isReply(verdict)) return verdict
    if (message.size > 0) throw new Error('the data hook read the message, so it has to answer for it with a reply')
    return keepInStore(message, session)
  }
}

const refusalCounts = new WeakMap<Session, number>()

function noteRefusal({ verb, reply, remote }: RefusedCommand, session: Session | undefined): void {
  const count = session === undefined ? 1 : (refusalCounts.get(session) ?? 0) + 1
  if (session !== undefined) refusalCounts.set(session, count)
  if (count > MAX_LOGGED_REFUSALS) return
  const isLast = count === MAX_LOGGED_REFUSALS
  log('info', 'refused', {
    ...peerOf(session),
    remote: remote.address,
    ...(verb !== '' && { verb }),
    reply: `${reply.code} ${reply.enhancedCode} ${reply.lines.join(' / ')}`,
    ...(isLast && { note: 'further refusals of this session are not logged' }),
  })
}

function peerOf(session: Session | undefined): Record<string, unknown> {
  return session === undefined ? {} : { sessionId: session.id, remote: session.remote.address }
}
