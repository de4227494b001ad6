import { createServer, type SecureContext, type Server } from 'node:tls'
import { type CheckedTls, contextFor } from './credentials.ts'

/** The callback of `SNICallback`. */
type ContextCallback = (error: Error | null, context?: SecureContext) => void

/** Makes a `tls.Server` that does not listen. It makes the handshakes of connections that it is given. */
export function makeTlsServer({ options, context, hosts }: CheckedTls): Server {
  const { clientCertificates = 'none', alpn } = options
  return createServer({
    ...context,
    requestCert: clientCertificates !== 'none',
    rejectUnauthorized: clientCertificates === 'require',
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(hosts.size === 0
      ? {}
      : { SNICallback: (name: string, done: ContextCallback) => done(null, contextFor(hosts, name)) }),
  })
}
