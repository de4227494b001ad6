/** `@postern/relay/signing`: DKIM, ARC, and the rewriting of senders, for mail that is sent on. */
export {
  type ArcOptions,
  type ArcSealer,
  type ArcVerdict,
  type ChainStatus,
  createArcSealer,
  type Seal,
  type UnsealedReason,
} from './arc.ts'
export { comparable, deliveredTo } from './delivered-to.ts'
export {
  createDkimSigner,
  type DkimOptions,
  type DkimSigner,
  keysFor,
  type Signature,
  type UnsignedReason,
  withSignature,
} from './dkim.ts'
export { type Fault, type FaultCode, findFaults } from './key-record.ts'
export type { KeyType } from '@postern/mail/signatures'
export { generateKey, parseSelector, RSA_BITS, SigningKey, SigningKeyError, type SigningKeyOptions } from './key.ts'
export { createSrs, type Reversed, type Srs, type SrsOptions } from './srs.ts'
export type { Chunks } from './signature.ts'
