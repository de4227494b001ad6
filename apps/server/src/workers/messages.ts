/**
 * What the main thread and its workers say to each other: every order has one answer, in their order; to be ready is the first.
 * Beside them, workers ask about logins (logins.ts).
 */
import type { Endpoint } from '@postern/engine'
import type { TlsOptions } from '@postern/runtime/tls'
import type { Options } from '../config/options.ts'
import type { FlagValues } from '../config/settings.ts'
import type { Shared } from './shared.ts'

/** With what a worker begins. */
export interface WorkerStart {
  readonly index: number
  readonly shared: Shared
  /** From them it reads the settings again: functions and stores of the config file can't be sent to it. */
  readonly flags: FlagValues
  /** What can be sent: the same in all workers, also where the file has changed since. */
  readonly options: Partial<Options>
  readonly tls: TlsOptions | undefined
}

export type Order =
  /** Listen; the ports in the order of the addresses, undefined where it is as the settings say. */
  | { readonly type: 'listen'; readonly ports: readonly (number | undefined)[] }
  | { readonly type: 'use-tls'; readonly tls: TlsOptions }
  /** Finish what is in progress, and end. Its answer is the end of the thread. */
  | { readonly type: 'stop'; readonly graceMs: number }

export type Answer =
  | { readonly type: 'done' }
  /** Where it listens, by the index of the address. */
  | { readonly type: 'listening'; readonly at: readonly { readonly index: number; readonly at: Endpoint }[] }
  /** It can't; the line for whoever started the program, and the exit code. */
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: number }
