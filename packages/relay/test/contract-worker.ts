/** Runs the contract of queues in workerd, and answers a request with the outcomes. Each check of the Durable Object has an object of its own. */
import { type ObjectStorage, openObjectQueue } from '@postern/relay/durable-object'
import { memoryQueue } from '@postern/relay/memory'
import type { Outcome } from '../../../test/contracts/outcome.ts'
import { entry } from '../../../test/contracts/queue/check.ts'
import { queueOutcome, queueOutcomes } from '../../../test/contracts/queue/queue.ts'

interface Env {
  readonly QUEUE: {
    idFromName(name: string): unknown
    get(id: unknown): { fetch(url: string, init: RequestInit): Promise<Response> }
  }
}

interface Order {
  readonly subject: string
  readonly checks: readonly string[]
}

export class QueueObject {
  readonly #storage: ObjectStorage

  /** Returns the messages of what is refused. */
  async #versions(): Promise<string[]> {
    const queue = openObjectQueue(this.#storage)
    const recipients = Array.from({ length: 301 }, (_, at) => `r${at}@a.example`)
    const adding = await queue.add([entry('e1', recipients)]).catch((error: Error) => error.message)
    await queue.add([entry('e2', recipients.slice(1))])
    this.#storage.sql.exec('UPDATE queue_version SET version = 3')
    try {
      openObjectQueue(this.#storage)
      return []
    } catch (error) {
      return [String(adding), (error as Error).message]
    }
  }

  constructor({ storage }: { readonly storage: ObjectStorage }) {
    this.#storage = storage
  }

  async fetch(request: Request): Promise<Response> {
    const { subject, check } = (await request.json()) as { readonly subject: string; readonly check: string }
    if (check === VERSION) return Response.json(await this.#versions())
    const outcome = await queueOutcome(subject, check, {
      make: async () => openObjectQueue(this.#storage),
      reopen: async (queue) => {
        await queue.close()
        return openObjectQueue(this.#storage)
      },
    })
    return Response.json(outcome)
  }
}

/** Not in the contract: the version of an object's tables, and the bound of one row. */
const VERSION = 'version'

export default {
  async fetch(request: Request, { QUEUE }: Env): Promise<Response> {
    const { subject, checks } = (await request.json()) as Order
    const fetchFrom = (check: string): Promise<Response> =>
      QUEUE.get(QUEUE.idFromName(check)).fetch('http://queue/', {
        method: 'POST',
        body: JSON.stringify({ subject, check }),
      })
    if (checks.length === 0) return fetchFrom(VERSION)
    const ground = {
      make: async ({ isSmall = false } = {}) => memoryQueue(isSmall ? { maxEntries: 1_000 } : {}),
    }
    const outcomes: Outcome[] = []
    for await (const outcome of queueOutcomes({ memory: ground })) outcomes.push(outcome)
    const run = async (check: string): Promise<Outcome> => (await (await fetchFrom(check)).json()) as Outcome
    outcomes.push(...(await Promise.all(checks.map(run))))
    return Response.json(outcomes)
  },
}
