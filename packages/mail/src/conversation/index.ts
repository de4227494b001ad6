/** `@postern/mail/conversation`: which conversation a message belongs to, and what of its text the author wrote. */
export { type BlockKind, type TextBlock, textBlocks } from './blocks.ts'
export { unflowed } from './flowed.ts'
export { threadIdOf } from './thread.ts'
