/** The honest clients, in their own process. They read orders from standard input and write the measurements. */
import { createInterface } from 'node:readline'
import type { ClientsOrder, PhaseOrder, Visits } from './order.ts'
import { visitorOf } from './clients/visitor.ts'
import { Watch } from './clients/watch.ts'

let watches: readonly Watch[] = []

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as ClientsOrder | PhaseOrder
  if (order.kind === 'clients') watches = order.clients.map((client) => new Watch(client, visitorOf(client)))
  else if (order.kind === 'begin') for (const watch of watches) watch.begin()
  else {
    const visits: Visits[] = await Promise.all(watches.map((watch) => watch.end()))
    process.stdout.write(`${JSON.stringify({ visits })}\n`)
  }
}
