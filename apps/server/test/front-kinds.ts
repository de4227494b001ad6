/** The kinds of connections through WebSockets and a front, before one is made. */
import type { Kind, PairKind } from '../../../test/contracts/outcome.ts'
import { sample } from '../../../test/kit/sample.ts'

/** Both ends are WebSockets of `ws`. */
export const BARE = { subject: 'WebSocket' } as const
export const CLEAR: Omit<PairKind, 'makePair'> = {
  subject: 'front',
  hasStartTls: true,
  gaps: {
    'a read answers at once when bytes are waiting':
      'until TLS, bytes wait at the front, because the bytes after a reply may be a handshake that the front has to make',
  },
}
export const UPGRADED = { subject: 'front, STARTTLS' } as const
export const IMPLICIT = { subject: 'front, implicit TLS' } as const
/** The dialled end is a WebSocket that the runtime has. */
export const OWN = { subject: "WebSocket of the runtime's own" } as const

/** The runtime on which this run also looks at a second kind. */
const BOTH_ON = sample(['node', 'deno', 'bun'], 1, 6)

/**
 * Returns the kinds that this run looks at on a runtime. The front in clear is always one of them, because docs/runtimes.md shows its gap.
 */
export function chosenOn(runtime: string): readonly Kind[] {
  return [CLEAR, ...(BOTH_ON.includes(runtime) ? sample([BARE, UPGRADED, IMPLICIT, OWN], 1) : [])]
}
