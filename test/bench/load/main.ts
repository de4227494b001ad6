/** The load generator, a process of its own on Bun: orders come in on standard input, outcomes go out. */
import { createInterface } from 'node:readline'
import type { Order, Outcome } from './order.ts'
import { send } from './send.ts'

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await obey(JSON.parse(line) as Order)
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}

function obey(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case 'send':
      return send(order)
    default:
      throw new Error(`${order.kind}: not yet`)
  }
}
