/** Connections over a real listener, the same for every server runtime. */
import type { Duplex, Listener } from '@postern/engine'
import type { ListenOptions, Acceptor } from '../src/sockets/inbound.ts'
import type { SelfSignedCertificate } from '../src/sockets/tls/index.ts'
import type { MakePair } from '../../../test/contracts/duplex/duplex.ts'
import type { Kind, PairKind } from '../../../test/contracts/outcome.ts'

/** The address to dial, for every runtime. */
interface Dialled {
  readonly host?: string
  readonly port?: number
  readonly path?: string
  readonly implicitTls?: boolean
  readonly lingerMs: number
  readonly tls: { readonly ca: string }
}

/** The exports of a server runtime's folder that concern connections. */
export interface Sockets {
  listen(server: Acceptor, options: ListenOptions): Promise<Listener>
  dial(options: Dialled): Promise<Duplex>
}

export const SOCKET_KINDS: readonly [Kind, Kind, Kind, Kind] = [
  { subject: 'TCP', hasStartTls: true },
  { subject: 'Unix socket', hasStartTls: true },
  { subject: 'implicit TLS' },
  { subject: 'STARTTLS' },
]

/** Makes {@link SOCKET_KINDS}: every kind of connection that a server runtime has. @param path Of a Unix socket that can be made. */
export function socketKinds(
  sockets: Sockets,
  certificate: SelfSignedCertificate,
  path: string,
): { kinds: PairKind[]; close(): Promise<void> } {
  const listeners: Listener[] = []
  const host = '127.0.0.1'

  /**
   * Returns the accepted end, then the dialled one. Pairs are made one after the other, so that the ends belong
   * together.
   */
  function over(place: { host: string; port: number } | { path: string }, implicitTls = false): MakePair {
    let accepted: (duplex: Duplex) => void
    let last: Promise<unknown> = Promise.resolve()
    /** A listener has one `lingerMs` for all connections that it accepts. */
    const byLinger = new Map<number, Listener>()
    async function listenerOf(lingerMs: number): Promise<Listener> {
      const found = byLinger.get(lingerMs)
      if (found !== undefined) return found
      const where = 'path' in place ? { path: `${place.path}-${lingerMs}` } : place
      const listener = await sockets.listen(
        { accept: (duplex) => accepted(duplex) },
        { ...where, implicitTls, lingerMs, tls: certificate },
      )
      byLinger.set(lingerMs, listener)
      listeners.push(listener)
      return listener
    }
    async function makePair(lingerMs: number): Promise<readonly [Duplex, Duplex]> {
      const { address } = await listenerOf(lingerMs)
      const near = new Promise<Duplex>((resolve) => {
        accepted = resolve
      })
      const at = 'path' in place ? { path: `${place.path}-${lingerMs}` } : { host, port: address.port }
      const far = await sockets.dial({ ...at, implicitTls, lingerMs, tls: { ca: certificate.cert } })
      return [await near, far]
    }
    return (lingerMs) => {
      const made = last.then(() => makePair(lingerMs))
      last = made.catch(() => {})
      return made
    }
  }

  const upgradable = over({ host, port: 0 })
  async function upgraded(lingerMs: number): Promise<readonly [Duplex, Duplex]> {
    const [near, far] = await upgradable(lingerMs)
    await Promise.all([near.startTls?.(), far.startTls?.()])
    return [near, far]
  }

  const [tcp, unix, implicit, afterStartTls] = SOCKET_KINDS
  const kinds: PairKind[] = [
    { ...tcp, makePair: over({ host, port: 0 }) },
    { ...unix, makePair: over({ path }) },
    { ...implicit, makePair: over({ host, port: 0 }, true) },
    { ...afterStartTls, makePair: upgraded },
  ]
  return { kinds, close: async () => void (await Promise.all(listeners.map((listener) => listener.close()))) }
}
