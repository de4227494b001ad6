/** `postern queue`: what waits to be sent on. It works while the server runs, and while it does not. */
import process from 'node:process'
import type { DeliveryState } from '@postern/relay'
import { asciiDomain } from '@postern/engine'
import { flagOf, type Settings } from '../../config/settings.ts'
import { Failure } from '../../host/failure.ts'
import { isTerminal, safe } from '../../host/terminal.ts'
import { change, type ChangeAction } from '../queue/changes.ts'
import { list, show, stats } from '../queue/listing.ts'
import { withQueue } from '../queue/opening.ts'
import { confirm } from '../reading/confirm.ts'

/** The flags of `postern queue`. */
export interface QueueFlags {
  readonly limit?: string
  readonly cursor?: string
  readonly state?: DeliveryState
  readonly destination?: string
  readonly all?: boolean
  readonly yes?: boolean
  readonly raw?: boolean
  readonly json?: boolean
}

export type QueueAction = 'list' | 'show' | 'stats' | ChangeAction

/** The flags that each action takes, besides --json. */
const TAKES: Readonly<Record<QueueAction, readonly (keyof QueueFlags)[]>> = {
  list: ['limit', 'cursor', 'state', 'destination'],
  show: ['raw'],
  stats: [],
  retry: ['all', 'destination'],
  hold: ['all', 'destination'],
  release: ['all', 'destination'],
  delete: ['all', 'yes'],
}
const FLAGS = ['limit', 'cursor', 'state', 'destination', 'all', 'yes', 'raw'] as const
const DEFAULT_LIMIT = '50'

/** Runs `postern queue`. @throws Failure */
export async function queue(
  settings: Settings,
  action: QueueAction,
  ids: readonly string[],
  flags: QueueFlags,
): Promise<void> {
  const wrong = FLAGS.find((name) => flags[name] !== undefined && !TAKES[action].includes(name))
  if (wrong !== undefined) throw new Failure(`queue ${action}: it does not take ${flagOf(wrong)}`)
  const json = flags.json === true
  if (action === 'list' || action === 'stats') {
    if (ids.length > 0) throw new Failure(`queue ${action}: it takes no ids; postern queue show ID shows one message`)
    if (action === 'stats') return withQueue(settings, (open) => stats(open, json))
    const request = { ...chosenBy(flags), ...cursorOf(flags), limit: limitOf(flags), json }
    return withQueue(settings, (open) => list(open, request))
  }
  if (action === 'show') {
    const [id, ...more] = ids
    if (id === undefined || more.length > 0) throw new Failure('queue show: give the id of one message')
    if (json && flags.raw === true) throw new Failure('--json: cannot be used with --raw')
    return withQueue(settings, (open) => show(open, id, { json, raw: flags.raw === true }))
  }
  checkChosen(action, ids, flags)
  const { destination } = chosenBy(flags)
  return withQueue(settings, async (open) => {
    if (action === 'delete' && flags.all === true && flags.yes !== true) {
      await confirm('queue delete', `Delete all messages in the queue ${safe(open.place)}? Nobody gets a report.`)
    }
    await change(open, action, { ids, json, ...(destination !== undefined && { destination }) })
  })
}

/** Checks that the user names messages in one way. */
function checkChosen(action: ChangeAction, ids: readonly string[], { all, destination, yes }: QueueFlags): void {
  const ways = [ids.length > 0, all === true, destination !== undefined].filter(Boolean).length
  const others = action === 'delete' ? '--all' : '--all, or --destination'
  if (ways === 0)
    throw new Failure(`queue ${action}: give the ids of messages, ${others === '--all' ? 'or ' : ''}${others}`)
  if (ways > 1) throw new Failure(`queue ${action}: give either ids, ${others === '--all' ? 'or ' : ''}${others}`)
  if (all !== true && yes === true) throw new Failure('--yes: is only for --all')
  if (action === 'delete' && all === true && yes !== true && !isTerminal(process.stdin)) {
    throw new Failure('queue delete --all: there is no terminal to ask; give --yes')
  }
}

function chosenBy({ state, destination }: QueueFlags): { state?: DeliveryState; destination?: string } {
  if (destination === '') throw new Failure('--destination: "" is not a domain such as example.com')
  return {
    ...(state !== undefined && { state }),
    // An address literal is no domain, and is a destination all the same.
    ...(destination !== undefined && { destination: asciiDomain(destination) ?? destination.toLowerCase() }),
  }
}

function limitOf({ limit = DEFAULT_LIMIT }: QueueFlags): number {
  if (/^[1-9]\d{0,6}$/.test(limit)) return Number(limit)
  throw new Failure(`--limit: ${JSON.stringify(limit)} is not a whole number from 1 to 9999999`)
}

function cursorOf({ cursor }: QueueFlags): { cursor?: string } {
  if (cursor === undefined) return {}
  if (/^\d{1,15}$/.test(cursor)) return { cursor }
  throw new Failure(`--cursor: ${JSON.stringify(cursor)} is not a cursor that postern queue list has printed`)
}
