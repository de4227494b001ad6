/** `@postern/intake/verification`: who sent a message is found out before it is kept. */
export { blobOverflow } from './blob-overflow.ts'
export type { Overflow } from './held.ts'
export { type MailVerdicts, VerifiedMessage } from './message.ts'
export {
  createVerification,
  type HeldMessage,
  type MessageVerification,
  type VerificationOptions,
} from './verification.ts'
