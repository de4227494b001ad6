/**
 * Computes how many connections fit the limit of open files.
 *
 * If a runtime has no free descriptor, it does not refuse connections: Deno panics, Bun loops, and no store can open a
 * file for the mail of existing sessions. So the server lowers `maxConnections` at its start to a number that fits.
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { Logger } from '@logtape/logtape'
import { EXIT, Failure } from '../host/failure.ts'
import { isAllowed } from '../host/permission.ts'
import type { Settings } from '../config/settings.ts'
import { proxiesFor } from '../config/urls/listener-policy.ts'
import { isUrl } from '../config/urls/store-url.ts'
import { MAX_OPEN_FILES } from './store/store.ts'

/** Descriptors that a runtime has open without connections. Includes some for the user's hooks: a database, DNS queries. */
const OWN = 64
/**
 * Descriptors that a thread has open. Includes some for refused connections and handshakes if `maxConnections` is
 * small.
 */
const PER_WORKER = 32
/** How many connections are being refused at the same time, for each allowed connection. */
const TURNED_AWAY = 0.25
/** Files that an `fs:` or `maildir:` store has open at one time: messages over 64 KiB, and files of short operations. */
const STORE_FILES = MAX_OPEN_FILES + 64
/** Names that one thread looks up at one time. */
export const MAX_LOOKUPS = 500

/** The parts of a server that need descriptors. */
export interface DescriptorUse {
  /** The connections that the settings allow. */
  readonly maxConnections: number
  readonly workers: number
  /** How many addresses the server listens on. */
  readonly addresses: number
  /**
   * How many kinds of waits come before a connection counts: TLS handshakes for each address, and PROXY headers. Each
   * may hold `maxConnections` more.
   */
  readonly waits: number
  /** Descriptors besides sockets. A number is a bound for all connections together; Infinity means one for each connection. */
  readonly besides: number
}

/** Returns how many of the connections fit into the limit. Less than 1 means none. */
export function connectionsThatFit(limit: number, use: DescriptorUse): number {
  const { maxConnections, workers, addresses, waits, besides } = use
  const left = limit - OWN - workers * (PER_WORKER + addresses)
  const each = 1 + TURNED_AWAY + waits
  return Math.min(maxConnections, Math.floor(Math.max(left / (each + 1), (left - besides) / each)))
}

/**
 * Lowers `maxConnections` if the limit of open files is too low for it, and logs that.
 * @param isFront A front dials one connection for each one that it accepts.
 * @throws Failure if not even one connection fits
 */
export function fitDescriptors(settings: Settings, log: Logger, isFront = false): Settings {
  const { options, spelled } = settings
  const limit = openFileLimit()
  if (limit === undefined) return settings
  const maxConnections = connectionsThatFit(limit, {
    maxConnections: options.maxConnections,
    workers: options.workers,
    addresses: options.listen.length,
    waits: waitsBefore(settings),
    besides: isFront ? Infinity : storeFiles(settings) + lookUps(settings),
  })
  if (maxConnections < 1) {
    throw new Failure(
      `the limit of open files is ${limit}, too low for a single connection; raise it (ulimit -n, LimitNOFILE=)`,
      EXIT.misused,
    )
  }
  if (maxConnections === options.maxConnections) return settings
  log.warn('fewer connections than asked for: the limit of open files is too low (ulimit -n, LimitNOFILE=)', {
    option: spelled('maxConnections'),
    wanted: options.maxConnections,
    maxConnections,
    openFiles: limit,
  })
  return { ...settings, options: { ...options, maxConnections } }
}

function waitsBefore({ options }: Settings): number {
  const { listen } = options
  const shaking = listen.filter(({ implicitTls, pipePath }) => implicitTls || pipePath !== undefined)
  return shaking.length + (listen.some((given) => proxiesFor(given, options).length > 0) ? 1 : 0)
}

/** Counts files of the store. An `s3:` store, or the user's own, may have a connection for each message. */
function storeFiles({ options: { attachments, store, workers } }: Settings): number {
  if (!isUrl(store) || store.scheme === 's3') return Infinity
  if (store.scheme === 'memory') return 0
  return (attachments === 'apart' ? STORE_FILES + MAX_OPEN_FILES : STORE_FILES) * workers
}

/** Counts sockets to DNS servers: at most one for each lookup. */
function lookUps({ options: { reverseDns, verify, workers } }: Settings): number {
  const resolvers = (reverseDns ? 1 : 0) + (verify === 'off' ? 0 : 1)
  return resolvers * MAX_LOOKUPS * workers
}

/**
 * Returns how many descriptors this process may have. Node, Deno and Bun raise the soft limit to the hard one when they start, so this
 * is the hard one. Returns undefined if it is unknown: on Deno without Linux, or without the permission to read.
 */
function openFileLimit(): number | undefined {
  return limitOfProc() ?? limitOfReport()
}

/** Reads the limit on Linux. */
function limitOfProc(): number | undefined {
  if (process.platform !== 'linux' || !isAllowed({ name: 'read' })) return undefined
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    // /proc is not mounted, or Deno needs more than --allow-read for it.
    return undefined
  }
}

/** Reads the limit on Node and Bun, on every system. */
function limitOfReport(): number | undefined {
  const report = process.report as { getReport?: () => object } | undefined
  try {
    const { userLimits } = (report?.getReport?.() ?? {}) as { userLimits?: { open_files?: { soft?: unknown } } }
    const soft = userLimits?.open_files?.soft
    return typeof soft === 'number' ? soft : undefined
  } catch {
    return undefined
  }
}
