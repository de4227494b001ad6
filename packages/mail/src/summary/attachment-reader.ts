/** Tells the attachments of a message with their decoded bytes, while the message arrives. */
import { ARRIVING_MIME_LIMITS } from '../mime/limits.ts'
import type { PartHead } from '../mime/part.ts'
import { MimeReader } from '../mime/reader.ts'
import { snippetOf } from './snippet.ts'
import { isAttachment } from './summary.ts'

/** An attachment begins, or bytes of it, or it is over. One follows the other. */
export type AttachmentEvent =
  | { readonly kind: 'begin'; readonly attachment: AttachmentHead }
  /** Valid until the next call. */
  | { readonly kind: 'octets'; readonly octets: Uint8Array }
  | { readonly kind: 'finish' }

/** What a message says of an attachment. All of it was chosen by whoever wrote the message. */
export interface AttachmentHead {
  /** See `PartHead`. */
  readonly section: string
  /** On one line, without controls, at most 500 characters. */
  readonly fileName?: string
  /** A media type without parameters, in lower case: 'application/pdf'. 'application/octet-stream' if the message has no valid one. */
  readonly type: string
  /** The Content-ID without angle brackets: HTML names it in `cid:` addresses. */
  readonly contentId?: string
}

const MAX_NAME = 500
/** RFC 6838 4.2. */
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/

/** Never throws because of a message. Messages inside the message are attachments, and are not opened. */
export class AttachmentReader {
  readonly #reader = new MimeReader({ limits: ARRIVING_MIME_LIMITS, opensMessages: false })
  #isInside = false
  /** The attachment that begins after the one before it has finished. */
  #next: AttachmentHead | undefined

  /** Takes the next bytes of the message. Called only after `next` returned undefined. */
  receive(bytes: Uint8Array): void {
    this.#reader.receive(bytes)
  }

  /** The message is whole. */
  end(): void {
    this.#reader.end()
  }

  /** Returns the next event, or undefined if it needs more bytes or the message is over. */
  next(): AttachmentEvent | undefined {
    for (;;) {
      if (this.#next !== undefined) return this.#begin(this.#next)
      const event = this.#reader.next()
      if (event === undefined) return undefined
      if (event.kind === 'body') {
        if (this.#isInside) return { kind: 'octets', octets: event.octets }
        continue
      }
      if (event.kind === 'part' && isAttachment(event.part)) this.#next = headOf(event.part)
      if (this.#isInside) {
        this.#isInside = false
        return { kind: 'finish' }
      }
      if (event.kind === 'end') return undefined
    }
  }

  #begin(attachment: AttachmentHead): AttachmentEvent {
    this.#next = undefined
    this.#isInside = true
    return { kind: 'begin', attachment }
  }
}

function headOf({ section, fileName, type, contentId }: PartHead): AttachmentHead {
  const name = fileName === undefined ? '' : snippetOf(fileName, MAX_NAME)
  const id = contentId === undefined ? '' : snippetOf(contentId, MAX_NAME)
  return {
    section,
    ...(name !== '' && { fileName: name }),
    type: MEDIA_TYPE.test(type) ? type : 'application/octet-stream',
    ...(id !== '' && { contentId: id }),
  }
}
