/**
 * Handles signals and uncaught errors.
 *
 * SIGINT and SIGTERM start a graceful stop; a second one stops at once. SIGHUP reads certificates again, and never ends a server or a
 * front. Handlers are set at the very start, because without them process 1 of a container ignores SIGTERM, and SIGHUP kills a server
 * that is starting. After an uncaught error the state is unknown, so the program always ends.
 */
import process from 'node:process'

/** The handlers of each signal. */
export interface SignalActions {
  /** The first SIGINT or SIGTERM. */
  stop(signal: string): void
  /** The second one. The process ends when it returns. */
  stopNow(signal: string): void
  /** SIGHUP. */
  hangUp(): void
  /** An uncaught error or rejection. The process must end. */
  broken(error: unknown): void
}

/** The convention is 128 plus the signal's number. */
const EXIT_CODES: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

let actions: SignalActions | undefined
/** Signals that came before {@link onSignals}. */
let early: NodeJS.Signals[] = []
let mayServe = false
let isStopping = false

/** Sets the handlers, as the first step of a server or a front. Until {@link expectClients} a signal to stop ends the process at once, with 0. */
export function watchSignals(): void {
  process.on('SIGINT', receive).on('SIGTERM', receive).on('SIGHUP', receive)
}

/**
 * Notes that a client may be connected from now on. So the first signal to stop waits for {@link onSignals}, which stops gracefully. The
 * second one ends the program at once.
 */
export function expectClients(): void {
  mayServe = true
}

/** Acts on signals from now on, and on those that waited. @returns a function that stops it, for a program that is about to end */
export function onSignals(given: SignalActions): () => void {
  actions = given
  const broken = (error: unknown): void => given.broken(error)
  process.on('uncaughtException', broken).on('unhandledRejection', broken)
  const waiting = early
  early = []
  // They run later, so that the caller first writes its start block.
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
    // No client is connected, so there is nothing to finish.
    if (!mayServe) process.exit(0)
    if (early.some((other) => other !== 'SIGHUP')) process.exit(EXIT_CODES[signal])
  }
  if (!early.includes(signal)) early.push(signal)
}
