/** `@postern/mail/signatures`: what signing and verifying share. Header fields as they were sent, body hashes, tag-lists and public keys. */
export { domainsOfFrom } from './author.ts'
export { BodyHash } from './body-hash.ts'
export { canonicalFields } from './canonical.ts'
export { bitsOf, isSameKey, type KeyType, MIN_RSA_BITS, openPublic, PublicKeyError } from './public-key.ts'
export { HeaderReader, type RawField, relaxed, type Unreadable, valueOf } from './raw-header.ts'
export { parseTags } from './tags.ts'
