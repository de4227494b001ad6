/** `@postern/mail/signatures`: what signing and verifying share. Header fields as they were sent, body hashes, tag-lists and public keys. */
export { type ArcSet, type ArcSets, arcSetsIn, MAX_ARC_SETS } from './arc-sets.ts'
export { domainsOfFrom } from './author.ts'
export { BodyHash } from './body-hash.ts'
export { type Canonicalization, canonicalField, canonicalFields, withoutSignature } from './canonical.ts'
export { bitsOf, isSameKey, type KeyType, MIN_RSA_BITS, openPublic, PublicKeyError } from './public-key.ts'
export { HeaderReader, type RawField, relaxed, type Unreadable, valueOf } from './raw-header.ts'
export { parseTags } from './tags.ts'
