/**
 * Signals, and what happens when the program breaks.
 *
 * SIGINT and SIGTERM ask for a graceful stop; a second one means now. SIGHUP reads certificates again, and never ends a program
 * that serves. Signals are watched from the first moment on, because a process without a handler does what its parent left it:
 * process 1 of a container ignores SIGTERM, and a server that starts dies of SIGHUP. After an error that nobody caught the state is
 * unknown: never go on.
 */
import process from 'node:process'

/** What to do when. */
export interface SignalActions {
  /** The first SIGINT or SIGTERM. */
  stop(signal: string): void
  /** The second one; the process ends when it returns. */
  stopNow(signal: string): void
  /** SIGHUP. */
  hangUp(): void
  /** A throw or rejection that nobody caught. The process is to end. */
  broken(error: unknown): void
}

/** By convention 128 and the signal's number. */
const EXIT_CODES: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

let actions: SignalActions | undefined
/** What came before there were actions. */
let early: NodeJS.Signals[] = []
let mayServe = false
let isStopping = false

/** Starts to watch: the first thing that a program does which is going to serve. A signal to stop ends it at once, with 0. */
export function watchSignals(): void {
  process.on('SIGINT', receive).on('SIGTERM', receive).on('SIGHUP', receive)
}

/**
 * From now on a client may be connected. So the first signal to stop waits for {@link onSignals}, which stops gracefully; the second
 * one ends the program at once.
 */
export function expectClients(): void {
  mayServe = true
}

/** Acts on signals from now on, and on those that waited. @returns what stops it, for a program that is about to end */
export function onSignals(given: SignalActions): () => void {
  actions = given
  const broken = (error: unknown): void => given.broken(error)
  process.on('uncaughtException', broken).on('unhandledRejection', broken)
  const waiting = early
  early = []
  // The caller first says that it serves.
  queueMicrotask(() => waiting.forEach(receive))
  return () => {
    actions = undefined
    process.off('uncaughtException', broken).off('unhandledRejection', broken)
  }
}

function receive(signal: NodeJS.Signals): void {
  if (actions === undefined) return receiveEarly(signal)
  if (signal === 'SIGHUP') return actions.hangUp()
  if (isStopping) {
    actions.stopNow(signal)
    process.exit(EXIT_CODES[signal])
  }
  isStopping = true
  actions.stop(signal)
}

function receiveEarly(signal: NodeJS.Signals): void {
  if (signal !== 'SIGHUP') {
    // Nothing was begun that would have to be finished.
    if (!mayServe) process.exit(0)
    if (early.some((other) => other !== 'SIGHUP')) process.exit(EXIT_CODES[signal])
  }
  if (!early.includes(signal)) early.push(signal)
}
