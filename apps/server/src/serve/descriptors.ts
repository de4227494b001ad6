/**
 * Open files: how many this process may have, and how many connections fit.
 *
 * A runtime that has no descriptor left does not refuse connections: Deno ends with a panic, Bun spins, and no store can open a file
 * for the mail of who is in. So `maxConnections` is lowered at start to what fits.
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { Logger } from '@logtape/logtape'
import { EXIT, Failure } from '../host/failure.ts'
import { isAllowed } from '../host/permission.ts'
import type { Settings } from '../config/settings.ts'

/** What a runtime has open without any connection, with room for what a config file opens: a database, names that are looked up. */
const OWN = 64
/** What a thread has open, and those that it turns away or shakes hands with where there are few places. */
const PER_WORKER = 32
/** How many are turned away at a time, for each connection that there may be. */
const TURNED_AWAY = 0.25
/** Files of an `fs:` or `maildir:` store at one time: messages over 64 KiB, and short work. */
const STORE_FILES = 1024 + 64

/** What takes descriptors. */
export interface DescriptorUse {
  /** Connections that are wanted. */
  readonly maxConnections: number
  readonly workers: number
  /** Addresses that are listened on. */
  readonly addresses: number
  /** Places where as many connections may wait before they are counted: for a handshake, or a proxy's header. */
  readonly waits: number
  /** What a connection may have open besides its socket. A number is a bound over all of them; Infinity: one each. */
  readonly besides: number
}

/** How many of the connections fit into so many descriptors; less than 1 where none does. */
export function connectionsThatFit(limit: number, use: DescriptorUse): number {
  const { maxConnections, workers, addresses, waits, besides } = use
  const left = limit - OWN - workers * (PER_WORKER + addresses)
  const each = 1 + TURNED_AWAY + waits
  return Math.min(maxConnections, Math.floor(Math.max(left / (each + 1), (left - besides) / each)))
}

/**
 * Lowers `maxConnections` where the limit of open files is too low for it, and says so.
 *
 * @param isFront It dials a connection for each that it takes in.
 * @throws Failure where not even one fits
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
    besides: isFront ? Infinity : storeFiles(settings),
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

function waitsBefore({ options: { listen, proxyFrom } }: Settings): number {
  const shaking = listen.filter(({ implicitTls, pipePath }) => implicitTls || pipePath !== undefined)
  return shaking.length + (proxyFrom.length > 0 ? 1 : 0)
}

/** An `s3:` store, or one of the user's own, has a connection of its own for each message. */
function storeFiles({ options: { store, workers } }: Settings): number {
  if (!('scheme' in store && 'url' in store) || store.scheme === 's3') return Infinity
  return store.scheme === 'memory' ? 0 : STORE_FILES * workers
}

/**
 * How many descriptors this process may have. Node, Deno and Bun raise the soft limit to the hard one when they start, so this is the
 * hard one. Undefined where nobody says: Deno on another system than Linux, or without the permission to read.
 */
function openFileLimit(): number | undefined {
  return limitOfProc() ?? limitOfReport()
}

/** Linux. */
function limitOfProc(): number | undefined {
  if (process.platform !== 'linux' || !isAllowed({ name: 'read' })) return undefined
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? undefined : Number(soft)
  } catch {
    // It is not mounted, or Deno wants more than --allow-read for it.
    return undefined
  }
}

/** Node and Bun, on every system. */
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
