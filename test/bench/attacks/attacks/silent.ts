/**
 * Connections that are opened at a rate and write nothing. On a port of TLS or HTTP the server waits for their first
 * byte.
 */
import type { Field } from '../field.ts'
import type { SilentOrder } from '../order.ts'

const TICK_MS = 10

export function openSilent({ connections, connectionsPerSecond }: SilentOrder, field: Field): void {
  const startedMs = performance.now()
  let begun = 0
  const timer = setInterval(() => {
    const due = Math.min(connections, ((performance.now() - startedMs) / 1000) * connectionsPerSecond)
    for (; begun < due; begun++) field.open({})
    if (begun >= connections || field.isOver) clearInterval(timer)
  }, TICK_MS)
}
