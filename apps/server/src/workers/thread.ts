/** The program of a worker thread: a server with its own listeners, which obeys the main thread. */
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'
import { type Limits, LIMIT_RULES, type Server } from '@postern/engine'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { TokenMemory } from '@postern/runtime/websocket'
import type { Logger } from '@logtape/logtape'
import { openAccounts } from '../serve/accounts.ts'
import { keptLine } from '../serve/announcement.ts'
import { errorText, EXIT, Failure } from '../host/failure.ts'
import { Journal } from '../serve/logs/journal.ts'
import { closeAll, listenAll, type Listening } from '../serve/listening.ts'
import { openLog } from '../serve/logs/log.ts'
import { outliveReader } from '../host/output.ts'
import { environment, forbidden } from '../host/permission.ts'
import { makeServer } from '../serve/smtp-server.ts'
import { readSettings, type Settings, variables } from '../config/settings.ts'
import { openSubmission } from '../serve/relay/onward.ts'
import { openResolver } from '../serve/resolver.ts'
import { openStore } from '../serve/store/store.ts'
import { openVerification } from '../serve/verification.ts'
import { SharedAdmission } from './admission.ts'
import { type LoginAnswer, RemoteLogins } from './logins.ts'
import type { Added, Answer, Order, WorkerStart } from './messages.ts'
import { sharedOutput } from './output.ts'
import { partOf, sharedByteCount } from './shared.ts'
import type { TokenTable } from './tokens.ts'

/** How long mail in progress may take after an uncaught error. */
const BROKEN_GRACE_MS = 1_000

interface Work {
  readonly settings: Settings
  readonly server: Server
  readonly tls: TlsCredentials | undefined
  readonly log: Logger
  readonly journal: Journal
}

const start = workerData as WorkerStart
const { index, shared } = start
let listening: readonly Listening[] = []

// oxlint-disable-next-line unicorn/require-post-message-target-origin
const logins = new RemoteLogins((request) => parentPort?.postMessage(request))
const begun = begin()
let last: Promise<unknown> = tell(begun.then((): Answer => ({ type: 'done' })))
parentPort?.on('message', (order: Order | LoginAnswer) => {
  if (order.type === 'login') return logins.receive(order)
  last = last.then(() => tell(begun.then((work) => obey(work, order))))
})

async function begin(): Promise<Work> {
  const { workerCount } = shared
  const read = await readSettings(start.flags, environment(variables()))
  const settings: Settings = { ...read, options: { ...read.options, ...start.options } }
  const { options } = settings
  outliveReader()
  const log = await openLog(options, sharedOutput(2, shared.output))
  const out = sharedOutput(1, shared.output)
  const access = { workerCount, bufferedBytes: sharedByteCount(shared, index), log }
  const store = await openStore(settings, access)
  const tls = start.tls && new (await import('@postern/runtime/tls')).TlsCredentials(start.tls)
  const journal = new Journal(log, options)
  const resolver = await openResolver(settings, log)
  // The main thread logs changes of the file.
  const accounts = await openAccounts(settings, undefined)
  const server = makeServer(
    settings,
    {
      options: { ...options, ...partOfLimits(options, workerCount) },
      store,
      log,
      logins,
      resolver,
      verification: await openVerification(settings, log, access),
      journal,
      tls,
      accounts,
      onward: await openSubmission({ settings, book: accounts.book, log, added: tellAdded }),
      kept: options.logFormat === 'json' ? () => {} : (record) => out.write(keptLine(record)),
    },
    new SharedAdmission(shared.admission, index),
  )
  const work = { settings, server, tls, log, journal }
  const broken = (error: unknown): void => breakDown(work, error)
  process.on('uncaughtException', broken).on('unhandledRejection', broken)
  return work
}

/** Returns a worker's part of the bounds that are divided. */
function partOfLimits(
  { maxConnections, maxTotalEnvelopeOctets }: Limits,
  workerCount: number,
): Pick<Limits, 'maxConnections' | 'maxTotalEnvelopeOctets'> {
  return {
    maxConnections: partOf(maxConnections, workerCount),
    maxTotalEnvelopeOctets: Math.max(
      LIMIT_RULES.maxTotalEnvelopeOctets.min,
      partOf(maxTotalEnvelopeOctets, workerCount),
    ),
  }
}

async function obey({ settings, server, tls, journal }: Work, order: Order): Promise<Answer> {
  switch (order.type) {
    case 'listen': {
      const { ports } = order
      const { workerCount } = shared
      const place = { isFirst: index === 0, workerCount, ports, openTokens }
      listening = await listenAll(server, settings, tls, journal, place)
      const addresses = settings.options.listen
      return { type: 'listening', at: listening.map(({ given, at }) => ({ index: addresses.indexOf(given), at })) }
    }
    case 'use-tls':
      tls?.update(order.tls)
      return { type: 'done' }
    case 'stop':
      await Promise.all([closeAll(listening), server.close({ graceMs: order.graceMs })])
      journal.flush()
      process.exit(EXIT.done)
  }
}

/** Tells the main thread that the queue has another message. */
function tellAdded(): void {
  const added: Added = { type: 'added' }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(added)
}

/** Loads the tokens only if an address is for fronts. */
async function openTokens(): Promise<TokenMemory> {
  const { SharedTokens } = await import('./tokens.ts')
  // The main thread has made it, because an address is for fronts.
  return new SharedTokens(shared.tokens as TokenTable)
}

/** Answers the main thread. */
async function tell(answer: Promise<Answer>): Promise<void> {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  const post = (message: Answer): void => parentPort?.postMessage(message)
  try {
    post(await answer)
  } catch (error) {
    const failure = error instanceof Failure ? error : forbidden(error)
    // Any other error is a bug, and ends this thread.
    if (failure === undefined) throw error
    const { message, exitCode } = failure
    post({ type: 'failed', message, exitCode })
  }
}

let isBroken = false

/** Ends this thread after an uncaught error, because the state is unknown. The main thread starts another one. */
function breakDown({ server, log, journal }: Work, error: unknown): void {
  log.fatal('a worker stops after an uncaught error', { worker: index, error })
  if (isBroken) return
  isBroken = true
  const end = (): void => {
    journal.flush()
    process.exit(EXIT.failed)
  }
  setTimeout(end, 2 * BROKEN_GRACE_MS)
  Promise.all([closeAll(listening), server.close({ graceMs: BROKEN_GRACE_MS })]).then(end, (failure: unknown) => {
    log.error('a worker could not stop', { worker: index, reason: errorText(failure) })
    end()
  })
}
