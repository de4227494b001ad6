/** `@postern/intake/accounts`: users, and hashes of their passwords. */
export type { PasswordCheck, PasswordRecord, ScryptRecord } from './password.ts'
export { checkPassword, checkPasswordInPool, hashPassword, parsePasswordHash, randomHash } from './password.ts'
export type { User } from './users.ts'
export { parseUser, usersSource } from './users.ts'
