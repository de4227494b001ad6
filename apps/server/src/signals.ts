/**
 * Signals, and what happens when the program breaks.
 *
 * SIGINT and SIGTERM ask for a graceful stop; whoever asks twice means now. SIGHUP reloads where there is something to
 * reload; elsewhere it is the terminal that closed. After an error that nobody caught the state is unknown: never go on.
 */
import process from 'node:process'

/** What to do when. */
export interface SignalActions {
  /** The first SIGINT or SIGTERM. */
  stop(signal: string): void
  /** The second one; the process ends when it returns. */
  stopNow(signal: string): void
  /** SIGHUP, where something can be reloaded. */
  reload?(): void
  /** A throw or rejection that nobody caught. The process is to end. */
  broken(error: unknown): void
}

/** By convention 128 and the signal's number. */
const EXIT_CODES: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

/** Starts listening to signals. @returns what stops it. */
export function onSignals(actions: SignalActions): () => void {
  let isStopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      actions.stopNow(signal)
      process.exit(EXIT_CODES[signal])
    }
    isStopping = true
    actions.stop(signal)
  }
  const hangUp = (signal: NodeJS.Signals): void => {
    if (actions.reload === undefined) stop(signal)
    else actions.reload()
  }
  const broken = (error: unknown): void => actions.broken(error)
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', hangUp)
  process.on('uncaughtException', broken).on('unhandledRejection', broken)
  return () => {
    process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', hangUp)
    process.off('uncaughtException', broken).off('unhandledRejection', broken)
  }
}
