/** The load generator, in its own process on Bun. It reads orders from standard input, and writes outcomes. */
import { createInterface } from 'node:readline'
import { Held } from './hold.ts'
import type { Order, Outcome } from './order.ts'
import { pace } from './pace.ts'
import { send } from './send.ts'

let held: Held | undefined

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await obey(JSON.parse(line) as Order)
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}

function obey(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case 'send':
      return send(order)
    case 'pace':
      return pace(order)
    case 'hold':
      held = new Held(order)
      return held.open()
    case 'release': {
      const releasing = held?.release()
      held = undefined
      return releasing ?? Promise.reject(new Error('nothing is held'))
    }
  }
}
