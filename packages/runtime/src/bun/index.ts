/** @postern/runtime/bun: listeners and dialers on Bun's own sockets. */
export type { DialOptions, DialTlsOptions } from '../dialling.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../listening.ts'
export type { KeyPair, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../tls.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../tls.ts'
export { dial } from './dial.ts'
export { listen } from './listen.ts'
