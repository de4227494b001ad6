/** The server as a process of this machine. */
import { availableParallelism, hostname } from 'node:os'
import { LIMIT_RULES } from '@postern/engine'
import { HOSTNAME_RULE } from '@postern/intake/settings'
import { Failure } from '../../host/failure.ts'
import { isAllowed } from '../../host/permission.ts'
import { isUrl } from '../urls/store-url.ts'
import type { TimeQuantity } from '../values/quantity.ts'
import { optional, parsed, text } from '../values/schema.ts'
import { amount, type Choice, needs, type Option } from './row.ts'
import type { WhereRows } from './where.ts'

export interface ProcessRows {
  /** The name in the greeting, the EHLO reply and the trace header. Default: this machine's name. */
  readonly hostname: Option<string, string>
  /** Become this user after listening, if started as root. Not on Deno. */
  readonly user: Option<string, string | undefined>
  /** The group of `user`. Default: the user's own. */
  readonly group: Option<string, string | undefined>
  /** How long transactions in progress may take to finish when the server stops. Default `30s`. */
  readonly graceMs: Option<TimeQuantity, number>
  /** Number of threads that receive mail, up to 64; `auto` means one for each core. Each thread loads the config file. Default 1. */
  readonly workers: Option<number | 'auto', number>
}

const group = 'Where:'
/** Each worker is a thread with its own heap. */
const MAX_WORKERS = 64
/** The allowed names of a user or a group. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/

export const processRows: ProcessRows = {
  hostname: {
    schema: text(HOSTNAME_RULE.pattern, HOSTNAME_RULE.allowed),
    byDefault: systemName(),
    help: 'name in the greeting, the EHLO reply and the trace header',
    group,
    value: 'name',
    commands: ['serve', 'front'],
    docs: { byDefault: "the system's" },
  },
  user: {
    schema: optional(text(NAME, 'the name or the number of a user')),
    byDefault: undefined,
    help: 'user that the server becomes after it listens, if root starts it; not on Deno',
    group,
    value: 'name',
    commands: ['serve', 'front'],
    docs: { more: '(see [Another user](#another-user))' },
  },
  group: {
    schema: optional(text(NAME, 'the name or the number of a group')),
    byDefault: undefined,
    help: 'group of --user',
    group,
    value: 'name',
    commands: ['serve', 'front'],
    docs: { byDefault: "the user's own" },
  },
  graceMs: amount(
    'graceMs',
    { min: 0, max: LIMIT_RULES.sessionTimeoutMs.max, byDefault: '30s' },
    { group, help: 'time for mail in progress to finish when the server stops', commands: ['serve', 'front'] },
  ),
  workers: {
    schema: parsed<number>(workerCount, `a whole number, from 1 to ${MAX_WORKERS}, or auto`),
    byDefault: 1,
    help: `number of threads that receive mail, up to ${MAX_WORKERS}; auto means one for each core`,
    group,
    value: 'number',
    docs: { more: '(see [Workers](#workers))' },
  },
}

/** Checks that a group has its user. @throws Failure */
export function checkUser({ options, spelled }: Choice<ProcessRows>): void {
  const { user, group, workers } = options
  if (group !== undefined && user === undefined) throw needs(spelled('group'), 'a user: give --user')
  if (user !== undefined && workers > 1) {
    throw new Failure(
      `${spelled('user')} and ${spelled('workers')}: a worker that is started again could not listen on a port for root; remove one`,
    )
  }
}

/** Checks that all workers can share the store and the addresses. @throws Failure */
export function checkWorkers({ options, spelled }: Choice<WhereRows & ProcessRows>): void {
  const { listen, store, workers } = options
  const passed = listen.find(({ socket }) => socket !== undefined)
  if (workers > 1 && passed !== undefined) {
    throw new Failure(
      `${spelled('workers')} ${workers}: only one thread can serve ${spelled('listen')} ${passed.url}; give --workers 1, or smtp://HOST:PORT`,
    )
  }
  if (workers > 1 && isUrl(store) && store.scheme === 'memory') {
    throw needs(
      spelled('workers'),
      'a store that all workers share, such as fs:./mail; each worker would have its own memory: store',
    )
  }
}

function workerCount(given: unknown): number | undefined {
  if (given === 'auto') return Math.min(MAX_WORKERS, availableParallelism())
  const count = typeof given === 'string' && /^\d{1,3}$/.test(given) ? Number(given) : given
  return typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS ? count : undefined
}

/** Returns the machine's name, or `localhost` if Deno does not allow it or if it is not valid in a greeting (such as one with an underscore). */
function systemName(): string {
  const name = isAllowed({ name: 'sys', kind: 'hostname' }) ? hostname() : ''
  return /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name) ? name : 'localhost'
}
