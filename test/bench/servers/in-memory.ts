/** The memory store, emptied before a run could fill it. */
import type { Handlers } from '@postern/engine'
import { keep } from '@postern/storage'
import { memory } from '@postern/storage/memory'

const MiB = 1024 * 1024
const MAX_BYTES = 1024 * MiB
/** From here on new messages go into another store. Those on their way fit into what is left of the old one. */
const FULL_BYTES = 64 * MiB

export function keepInMemory(): NonNullable<Handlers['data']> {
  let kept = 0
  const fresh = (): NonNullable<Handlers['data']> =>
    keep(memory({ maxBytes: MAX_BYTES }), { kept: (record) => void (kept += record.size) })
  let current = fresh()
  return (message, session) => {
    if (kept > FULL_BYTES) {
      kept = 0
      current = fresh()
    }
    return current(message, session)
  }
}
