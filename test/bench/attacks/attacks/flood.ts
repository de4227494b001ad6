/** Connections that write the same commands again and again, as fast as the server reads. */
import type { Field } from '../field.ts'
import type { FloodOrder } from '../order.ts'
import type { Peer } from '../peer.ts'

const BLOCK_OCTETS = 64 * 1024
const REOPEN_MS = 1

export function flood({ connections, opening, commands }: FloodOrder, field: Field): void {
  const block = Buffer.from(commands.repeat(Math.ceil(BLOCK_OCTETS / commands.length)), 'latin1')
  const pour = (peer: Peer): void => {
    while (!field.isSpent && peer.write(block));
  }
  const opened = (peer: Peer): void => {
    peer.write(opening)
    pour(peer)
  }
  field.keepOpen(connections, REOPEN_MS, () => ({ opened, drained: pour }))
}
