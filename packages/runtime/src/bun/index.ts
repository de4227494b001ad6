/** @postern/runtime/bun: listeners and dialers on Bun's own sockets. */
export type { ConnectOptions, ConnectTlsOptions } from '../sockets/client.ts'
export { connect } from './connect.ts'
export type { DialOptions, DialTlsOptions } from '../sockets/outbound.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../sockets/inbound.ts'
export type { KeyPair, KeyPairs, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../sockets/tls/index.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../sockets/tls/index.ts'
export { dial } from './dial.ts'
export { listen } from './listen.ts'
