/** The class of the Durable Object that has the queue, and that sends the mail in it. */
import { DurableObject } from 'cloudflare:workers'
import type { ListQueueOptions, NewEntry, QueueEntry, QueuePage, QueueStats } from '@postern/relay/entries'
import type { Receiver } from '../receiver.ts'
import { type OwnerStorage, QueueOwner } from './owner.ts'
import { RelayPart } from './part.ts'
import type { ChosenEntries, QueueAction, RemoteQueue } from './rpc.ts'

/** A class that a Worker may export. */
export type RelayObjectClass<Env> = new (
  state: DurableObjectState,
  env: Env,
) => DurableObject<Env> & RemoteQueue & { alarm(): Promise<void> }

/**
 * Makes the class: `export const MailQueue = relayObject(receiver)`. Its storage must be SQLite (`new_sqlite_classes`).
 * @param receiver Has the option `sendOn`
 */
export function relayObject<Env extends object>(receiver: Receiver<Env>): RelayObjectClass<Env> {
  return class extends DurableObject<Env> implements RemoteQueue {
    readonly #owner: QueueOwner

    constructor(state: DurableObjectState, env: Env) {
      super(state, env)
      this.#owner = new QueueOwner(state.storage as OwnerStorage, () => partOf(receiver, env))
    }

    override alarm(): Promise<void> {
      return this.#owner.alarm()
    }

    add(entries: readonly NewEntry[]): Promise<void> {
      return this.#owner.add(entries)
    }

    list(options: ListQueueOptions): Promise<QueuePage> {
      return this.#owner.list(options)
    }

    show(id: string): Promise<QueueEntry | undefined> {
      return this.#owner.show(id)
    }

    stats(): Promise<QueueStats> {
      return this.#owner.stats()
    }

    change(action: QueueAction, chosen: ChosenEntries): Promise<number> {
      return this.#owner.change(action, chosen)
    }
  }
}

function partOf<Env extends object>(receiver: Receiver<Env>, env: Env): RelayPart {
  const { sendOn } = receiver.open(env)
  if (sendOn instanceof RelayPart) return sendOn
  throw new Error('the receiver of relayObject needs the option sendOn')
}
