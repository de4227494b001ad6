/** The kinds of connections through WebSockets and a front, before one is made. */
import type { PairKind } from '../../../test/contracts/outcome.ts'

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
