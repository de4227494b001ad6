/** Opens the queue and its messages, for `postern serve` and for commands. */
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { isQueueError, type Queue, type QueueErrorCode, Spool } from '@postern/relay'
import type { NatsLogin, NatsQueueEvents, NatsTls } from '@postern/relay/nats'
import type { NatsQueueUrl } from '../../config/urls/queue-url.ts'
import { isDirectory } from '../../config/urls/store-url.ts'
import type { Settings } from '../../config/settings.ts'
import { errorText, EXIT, Failure, unreadable } from '../../host/failure.ts'
import { variable } from '../../host/permission.ts'
import { safe } from '../../host/terminal.ts'
import { openS3 } from '../store/s3.ts'
import { queuePath, spoolPath } from './paths.ts'

export interface QueueAccess {
  /**
   * A sender owns a queue in a directory. A submitter only adds to it. A manager looks at the queue and changes it, and the queue has to
   * be there.
   */
  readonly role: 'sender' | 'submitter' | 'manager'
  /** What a queue in NATS tells. */
  readonly events?: NatsQueueEvents
}

/** Failures for which the user has to change something. */
const MISUSES: readonly QueueErrorCode[] = ['other-version', 'unsupported', 'invalid']

/** @throws Failure */
export async function openQueue(settings: Settings, { role, events }: QueueAccess): Promise<Queue> {
  const { queue } = settings.options
  const isServer = role !== 'manager'
  try {
    if (queue.scheme === 'nats') return await openNats(queue, isServer, events)
    const { openSqliteQueue } = await import('@postern/relay/sqlite')
    if (!isServer) return await openSqliteQueue(queuePath(queue.url), { isOwner: false, create: false })
    await mkdir(queue.url, { recursive: true, mode: 0o700 })
    return await openSqliteQueue(queuePath(queue.url), { isOwner: role === 'sender' })
  } catch (error) {
    if (error instanceof Failure) throw error
    const isQueue = isQueueError(error)
    // A queue that is missing or busy may be there later; that a server can't make one is for its user to change.
    const exitCode = isServer || (isQueue && MISUSES.includes(error.code)) ? EXIT.misused : EXIT.failed
    const reason = isQueue ? error.message : errorText(error)
    throw new Failure(isServer ? `${settings.spelled('queue')} ${queue.url}: ${reason}` : reason, exitCode, {
      cause: error,
    })
  }
}

/** Opens the messages of the queue. @throws Failure */
export async function openSpool(settings: Settings): Promise<Spool> {
  const { queue, spool } = settings.options
  if (spool?.scheme === 's3') return new Spool(await openS3(settings, spool.url, { option: 'spool' }))
  const path = spool !== undefined && isDirectory(spool) ? spool.path : undefined
  if (path === undefined && queue.scheme === 'nats')
    throw new Failure(
      `${settings.spelled('spool')}: a queue in NATS needs it, an s3: or fs: URL that all servers share`,
    )
  const { fs } = await import('@postern/storage/fs')
  return new Spool(fs(path ?? spoolPath(queue.url)))
}

async function openNats(
  { servers, stream, replicas, maxLeaseMs }: NatsQueueUrl,
  isServer: boolean,
  events: NatsQueueEvents | undefined,
): Promise<Queue> {
  const { openNatsQueue } = await import('@postern/relay/nats')
  return openNatsQueue({
    servers,
    stream,
    replicas,
    maxLeaseMs,
    login: loginOf(),
    tls: tlsOf(),
    create: isServer,
    waits: isServer,
    events,
  })
}

/** Returns the login, from the usual variables of programs that use NATS. @throws Failure */
function loginOf(): NatsLogin {
  return {
    user: variable('NATS_USER'),
    password: variable('NATS_PASSWORD'),
    token: variable('NATS_TOKEN'),
    creds: fileOf('NATS_CREDS'),
  }
}

/** @throws Failure */
function tlsOf(): NatsTls {
  return { ca: fileOf('NATS_CA'), cert: fileOf('NATS_CERT'), key: fileOf('NATS_KEY') }
}

/** Reads the file that a variable names. */
function fileOf(name: string): string | undefined {
  const path = variable(name)
  if (path === undefined || path === '') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable(`${name} ${safe(path)}`, error)
  }
}
