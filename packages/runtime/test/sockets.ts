/** Connections over a real listener, the same for every server runtime. */
import type { Duplex, Listener } from '@postern/engine'
import type { ListenOptions, Acceptor } from '../src/sockets/inbound.ts'
import type { SelfSignedCertificate } from '../src/sockets/tls/index.ts'
import type { MakePair } from './contract.ts'
import type { Kind, PairKind } from './outcome.ts'

/** Where to dial, for every runtime. */
interface Dialled {
  readonly host?: string
  readonly port?: number
  readonly path?: string
  readonly implicitTls?: boolean
  readonly lingerMs: number
  readonly tls: { readonly ca: string }
}

/** What a server runtime's folder exports for connections. */
export interface Sockets {
  listen(server: Acceptor, options: ListenOptions): Promise<Listener>
  dial(options: Dialled): Promise<Duplex>
}

/** Short: some checks wait until an end has lingered for as long as it may. */
const lingerMs = 1_000

export const SOCKET_KINDS: readonly [Kind, Kind, Kind, Kind] = [
  { subject: 'TCP', hasStartTls: true },
  { subject: 'Unix socket', hasStartTls: true },
  { subject: 'implicit TLS' },
  { subject: 'STARTTLS' },
]

/** Makes {@link SOCKET_KINDS}: every kind of connection that a server runtime has. @param path Of a Unix socket that can be made. */
export async function socketKinds(
  sockets: Sockets,
  certificate: SelfSignedCertificate,
  path: string,
): Promise<{ kinds: PairKind[]; close(): Promise<void> }> {
  const listeners: Listener[] = []
  const host = '127.0.0.1'

  /** The accepted end, then the dialled one. Made one by one, so that they belong together. */
  async function over(
    where: { host: string; port: number } | { path: string },
    implicitTls = false,
  ): Promise<MakePair> {
    let accepted: (duplex: Duplex) => void
    let last: Promise<unknown> = Promise.resolve()
    const listener = await sockets.listen(
      { accept: (duplex) => accepted(duplex) },
      { ...where, implicitTls, lingerMs, tls: certificate },
    )
    listeners.push(listener)
    const at = 'path' in where ? where : { host, port: listener.address.port }
    async function makePair(): Promise<readonly [Duplex, Duplex]> {
      const near = new Promise<Duplex>((resolve) => {
        accepted = resolve
      })
      const far = await sockets.dial({ ...at, implicitTls, lingerMs, tls: { ca: certificate.cert } })
      return [await near, far]
    }
    return () => {
      const made = last.then(makePair)
      last = made.catch(() => {})
      return made
    }
  }

  const upgradable = await over({ host, port: 0 })
  async function upgraded(): Promise<readonly [Duplex, Duplex]> {
    const [near, far] = await upgradable()
    await Promise.all([near.startTls?.(), far.startTls?.()])
    return [near, far]
  }

  const [tcp, unix, implicit, afterStartTls] = SOCKET_KINDS
  const kinds: PairKind[] = [
    { ...tcp, makePair: await over({ host, port: 0 }) },
    { ...unix, makePair: await over({ path }) },
    { ...implicit, makePair: await over({ host, port: 0 }, true) },
    { ...afterStartTls, makePair: upgraded },
  ]
  return { kinds, close: async () => void (await Promise.all(listeners.map((listener) => listener.close()))) }
}
