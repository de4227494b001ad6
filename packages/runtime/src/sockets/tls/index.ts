/** @postern/runtime/tls: certificates, the same for the listeners of Node, Deno and Bun. */
export type { KeyPair, KeyPairs, TlsOptions } from './credentials.ts'
export { CertificateError, TlsCredentials } from './credentials.ts'
export type { SelfSignedCertificate, SelfSignedOptions } from './self-signed.ts'
export { selfSigned } from './self-signed.ts'
