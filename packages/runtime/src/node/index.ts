/** @postern/runtime/node: listeners and dialers on `node:net` and `node:tls`. */
export type { DialOptions, DialTlsOptions } from '../sockets/outbound.ts'
export { dial } from './dial.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../sockets/inbound.ts'
export { adopt, listen, serve } from './listen.ts'
export type { KeyPair, KeyPairs, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../sockets/tls/index.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../sockets/tls/index.ts'
