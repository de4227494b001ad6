/** @postern/runtime/deno: listeners and dialers on `Deno.listen` and `Deno.connect`, with TLS by `node:tls`. */
export type { DialOptions, DialTlsOptions } from '../dialling.ts'
export { dial } from './dial.ts'
export type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../listening.ts'
export { listen } from './listen.ts'
export type { KeyPair, SelfSignedCertificate, SelfSignedOptions, TlsOptions } from '../tls.ts'
export { CertificateError, selfSigned, TlsCredentials } from '../tls.ts'
