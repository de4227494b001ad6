/** @postern/runtime/deno: listeners and dialers on `Deno.listen` and `Deno.connect`, with TLS by `node:tls`. */
export type { ConnectOptions, ConnectTlsOptions } from '../sockets/client.ts'
export { connect } from './connect.ts'
export type { DialOptions, DialTlsOptions } from '../sockets/outbound.ts'
export { dial } from './dial.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../sockets/inbound.ts'
export { listen } from './listen.ts'
export type { KeyPair, KeyPairs, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../sockets/tls/index.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../sockets/tls/index.ts'
