/** `@postern/mail`: what is inside a message. */
export { DEFECTS, type Defect, type DefectCode } from './defect.ts'
export { type HeaderField, HeaderFields } from './header/fields.ts'
export { DEFAULT_MIME_LIMITS, type MimeLimits } from './mime/limits.ts'
export { MimeError, type Part, parts, type PartsOptions } from './mime/parts.ts'
export type { OctetRange, PartHead } from './mime/part.ts'
export type { Content } from './mime/content.ts'
export type { MessageSource } from './mime/source.ts'
export { type DecodedText, decodeText } from './text/charset.ts'
