/** Reads the options `queue` (a directory, or a URL of NATS) and `spool` (a URL). */
import { Mistaken, NotAllowed, type Schema } from '../values/schema.ts'
import { parseQuantity } from '../values/quantity.ts'
import { parseStoreUrl, type StoreUrl } from './store-url.ts'

export type QueueChoice = DirectoryQueue | NatsQueueUrl

export interface DirectoryQueue {
  readonly scheme: 'directory'
  /** As the user wrote it. */
  readonly url: string
}

/** A stream of NATS JetStream, which many servers share. */
export interface NatsQueueUrl {
  readonly scheme: 'nats'
  /** As the user wrote it. It has no login. */
  readonly url: string
  readonly servers: readonly string[]
  readonly stream?: string
  readonly replicas?: number
  readonly maxLeaseMs?: number
}

const QUEUE_ALLOWED = 'a directory, or a URL such as nats://host:4222?stream=postern&replicas=3'
const SPOOL_ALLOWED = 'fs:DIRECTORY or s3://bucket/prefix'
const HOST = /^(?:[A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?$/
const STREAM = /^[A-Za-z0-9_-]{1,64}$/
const MAX_HOSTS = 10
const LEAST_LEASE_MS = 1_000
const MOST_LEASE_MS = 86_400_000

export const queueSchema: Schema<QueueChoice> = (given) => {
  if (typeof given !== 'string' || given === '' || given.includes('\0')) throw new NotAllowed(given, QUEUE_ALLOWED)
  const [, scheme = ''] = /^([a-z]+):\/\//.exec(given) ?? []
  if (scheme === '') return { scheme: 'directory', url: given }
  // The value may hold a password, so the message does not repeat it.
  if (given.includes('@'))
    throw new Mistaken('a URL has no login here: set NATS_USER and NATS_PASSWORD, or NATS_TOKEN, or NATS_CREDS', '')
  if (scheme !== 'nats' && scheme !== 'tls') throw new NotAllowed(given, QUEUE_ALLOWED)
  return readNatsUrl(given, scheme)
}

/** @throws NotAllowed */
function readNatsUrl(given: string, scheme: string): NatsQueueUrl {
  const [address = '', query = ''] = given.slice(scheme.length + 3).split('?', 2)
  const hosts = address.replace(/\/$/, '').split(',')
  if (hosts.length > MAX_HOSTS || !hosts.every(isHost)) throw new NotAllowed(given, QUEUE_ALLOWED)
  const terms = new URLSearchParams(query)
  const known = ['stream', 'replicas', 'lease']
  for (const name of terms.keys()) {
    if (!known.includes(name))
      throw new Mistaken(`${JSON.stringify(name)} in the URL is not one of ${known.join(', ')}`, '')
    if (terms.getAll(name).length > 1) throw new Mistaken(`${name} is twice in the URL`, '')
  }
  const [stream, replicas, lease] = known.map((name) => terms.get(name) ?? undefined)
  if (stream !== undefined && !STREAM.test(stream)) throw badTerm('stream', stream, '1 to 64 of A-Z a-z 0-9 _ -')
  if (replicas !== undefined && !/^[1-5]$/.test(replicas))
    throw badTerm('replicas', replicas, 'a whole number from 1 to 5')
  const maxLeaseMs = lease === undefined ? undefined : parseQuantity(lease, 'time')
  if (maxLeaseMs !== undefined && !(maxLeaseMs >= LEAST_LEASE_MS && maxLeaseMs <= MOST_LEASE_MS))
    throw badTerm('lease', lease ?? '', 'a time from 1s to 1d, such as 15m')
  return {
    scheme: 'nats',
    url: given,
    servers: hosts.map((host) => `${scheme}://${host}`),
    ...(stream !== undefined && { stream }),
    ...(replicas !== undefined && { replicas: Number(replicas) }),
    ...(maxLeaseMs !== undefined && { maxLeaseMs }),
  }
}

function isHost(text: string): boolean {
  const found = HOST.exec(text)
  return found !== null && Number(found[1] ?? 1) <= 65_535
}

function badTerm(name: string, value: string, allowed: string): Mistaken {
  return new Mistaken(`${name}=${JSON.stringify(value.slice(0, 100))} in the URL is not ${allowed}`, '')
}

/** A place for messages that many servers can share. */
export const spoolSchema: Schema<StoreUrl | undefined> = (given) => {
  if (given === undefined) return undefined
  const url = typeof given === 'string' ? parseStoreUrl(given) : undefined
  const isPlace = url?.scheme === 's3' || (url?.scheme === 'fs' && 'path' in url && url.query === undefined)
  if (url === undefined || !isPlace) throw new NotAllowed(given, SPOOL_ALLOWED)
  return url
}
