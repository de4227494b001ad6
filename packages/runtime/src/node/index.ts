/** @postern/runtime/node: listeners and dialers on `node:net` and `node:tls`. */
export type { DialOptions, DialTlsOptions } from './dial.ts'
export { dial } from './dial.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from './listen.ts'
export { adopt, listen, serve } from './listen.ts'
export type { SelfSignedCertificate, SelfSignedOptions } from './self-signed.ts'
export { selfSigned } from './self-signed.ts'
export type { KeyPair, TlsOptions } from './credentials.ts'
export { CertificateError, TlsCredentials } from './credentials.ts'
