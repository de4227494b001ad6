/**
 * The messages between the main thread and its workers. Every order has one answer, in the order of the orders. Before them the worker
 * sends one answer when it is ready. Workers also send requests about logins (logins.ts), and tell of messages that they have queued.
 */
import type { Endpoint } from '@postern/engine'
import type { TlsOptions } from '@postern/runtime/tls'
import type { Options } from '../config/options.ts'
import type { FlagValues } from '../config/settings.ts'
import type { Shared } from './shared.ts'

/** The start data of a worker. */
export interface WorkerStart {
  readonly index: number
  readonly shared: Shared
  /** The worker reads the settings again with these flags, because functions and stores of the config file can't be sent to it. */
  readonly flags: FlagValues
  /** The options that can be sent. So they are the same in all workers, even if the file has changed. */
  readonly options: Partial<Options>
  readonly tls: TlsOptions | undefined
}

export type Order =
  /** Listen. `ports` has the port of each address, or undefined for the port of the settings. */
  | { readonly type: 'listen'; readonly ports: readonly (number | undefined)[] }
  | { readonly type: 'use-tls'; readonly tls: TlsOptions }
  /** Finish mail in progress, and end. The answer is the end of the thread. */
  | { readonly type: 'stop'; readonly graceMs: number }

/** A worker has added a message to the queue. It is no answer. */
export interface Added {
  readonly type: 'added'
}

export type Answer =
  | { readonly type: 'done' }
  /** The addresses that the worker listens on, by the index of the address. */
  | { readonly type: 'listening'; readonly at: readonly { readonly index: number; readonly at: Endpoint }[] }
  /** The order failed. `message` is the line for the user. */
  | { readonly type: 'failed'; readonly message: string; readonly exitCode: number }
