/** @postern/runtime/node: listeners and dialers on `node:net` and `node:tls`. */
export type { DialOptions, DialTlsOptions } from '../dialling.ts'
export { dial } from './dial.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../listening.ts'
export { adopt, listen, serve } from './listen.ts'
export type { KeyPair, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../tls.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../tls.ts'
