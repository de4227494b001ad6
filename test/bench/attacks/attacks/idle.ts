/** Connections that send EHLO and then nothing, so that they hold their places. */
import type { Field } from '../field.ts'
import type { IdleOrder } from '../order.ts'
import type { PeerEvents } from '../peer.ts'

const REOPEN_MS = 100
const EVENTS: PeerEvents = {
  replied(code, peer) {
    if (code === 220) peer.write('EHLO attacker.example\r\n')
  },
}

export function idle({ connections }: IdleOrder, field: Field): void {
  field.keepOpen(connections, REOPEN_MS, () => EVENTS)
}
