/** Where mail goes: to the server of `--relay`, or to the servers that DNS names. */
import { parseServerUrl, type ServerAddress } from '@postern/engine/client'
import type { Hop, Route, Router } from '@postern/relay'
import type { Settings } from '../../config/settings.ts'
import { Failure } from '../../host/failure.ts'

/** @throws Failure */
export async function routerOf({ options, spelled }: Settings): Promise<Router> {
  const { relay } = options
  if (relay === 'mx') throw new Failure(`${spelled('relay')} mx: is not built yet; give the URL of a server`)
  const { host, port, path, protocol, implicitTls, startTls, credentials } = parseServerUrl(relay)
  const isSecret = credentials !== undefined
  const hop: Hop = {
    host: host === '' ? (path ?? '') : host,
    port,
    path,
    protocol,
    implicitTls,
    tls: implicitTls || startTls === 'required' || isSecret ? 'verified' : startTls === 'never' ? 'never' : 'may',
    credentials,
  }
  const route: Route = { hops: [hop] }
  return { route: () => Promise.resolve(route) }
}

/** @param isInClear The handshake with this hop has failed, and TLS is only a wish */
export function addressOf(
  { host, address, port, path, protocol, implicitTls, tls, credentials }: Hop,
  isInClear: boolean,
): ServerAddress {
  const startTls = implicitTls || isInClear || tls === 'never' ? 'never' : tls === 'may' ? 'if-offered' : 'required'
  return { protocol, host: address ?? host, port, path, implicitTls, startTls, ...(credentials && { credentials }) }
}
