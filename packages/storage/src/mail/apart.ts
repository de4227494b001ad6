/** Keeps the attachments of a message apart, while a store saves the message. */
import { type AttachmentEvent, type AttachmentHead, AttachmentReader } from '@postern/mail/summary'
import type { BlobWriter } from '../blob/contract.ts'
import { Digest } from '../blob/digest.ts'
import { HeldBytes } from '../blob/held-bytes.ts'
import { type AttachmentStore, MAX_APART } from './attachments.ts'
import type { IncomingMail, MailFacts } from '../record/incoming.ts'
import { attachmentKey, isSection } from '../record/layout.ts'
import type { AttachmentRecord } from '../record/record.ts'

export interface ApartOptions {
  readonly place: AttachmentStore
  /** In bytes, decoded. Attachments up to this size stay in the message only. They are held in memory until they are larger. */
  readonly aboveBytes: number
}

const FIRST_BUFFER_BYTES = 4 * 1024

/**
 * Writes each large attachment into the store as soon as it arrives. `message` has the same bytes, and facts with the attachments.
 *
 * It looks at bytes only after the store has taken them, when the store asks for more. So the store writes each byte of the message
 * before the attachment: see `WriteOptions.besidesAnother`.
 */
export class AttachmentsApart {
  readonly message: IncomingMail
  readonly #given: IncomingMail
  readonly #options: ApartOptions
  readonly #reader = new AttachmentReader()
  readonly #kept: AttachmentRecord[] = []
  /** Bytes that the store got last. */
  #returned: Uint8Array | undefined
  #attachment: ArrivingAttachment | undefined
  /** True if the message is over, or if a mistake in the reader was met: that must not refuse a message. */
  #isOver = false

  constructor(given: IncomingMail, options: ApartOptions) {
    this.#given = given
    this.#options = options
    const { id, envelope, receivedAt, trace } = given
    this.message = {
      id,
      envelope,
      receivedAt,
      trace,
      read: () => this.#read(),
      facts: () => {
        const facts = given.facts?.()
        return facts instanceof Promise ? facts.then((found) => this.#withKept(found)) : this.#withKept(facts)
      },
    }
  }

  /** Removes the attachments, because the message was not kept. Never rejects: a sweep removes what is left. */
  async drop(): Promise<void> {
    this.#isOver = true
    await this.#attachment?.drop()
    const sections = this.#kept.map(({ section }) => section)
    await this.#options.place.remove(this.#given.id, sections).catch(() => undefined)
  }

  #read(): Uint8Array | null | Promise<Uint8Array | null> {
    const looked = this.#look()
    return looked === undefined ? this.#next() : looked.then(() => this.#next())
  }

  #next(): Uint8Array | null | Promise<Uint8Array | null> {
    const bytes = this.#given.read()
    return bytes instanceof Promise ? bytes.then((read) => this.#seen(read)) : this.#seen(bytes)
  }

  #seen(bytes: Uint8Array | null): Uint8Array | null | Promise<null> {
    if (this.#isOver) return bytes
    if (bytes !== null) return (this.#returned = bytes)
    this.#attempt(() => this.#reader.end())
    const kept = this.#keep()
    if (kept === undefined) return this.#end()
    return kept.then(() => this.#end())
  }

  #end(): null {
    this.#isOver = true
    return null
  }

  /** Looks at the bytes that the store has taken. */
  #look(): Promise<void> | undefined {
    const bytes = this.#returned
    this.#returned = undefined
    if (bytes === undefined || this.#isOver) return undefined
    this.#attempt(() => this.#reader.receive(bytes))
    return this.#keep()
  }

  /** Takes all events. Returns a promise if a writer did: then it takes the others later. */
  #keep(): Promise<void> | undefined {
    for (let event = this.#event(); event !== undefined; event = this.#event()) {
      const taken = this.#take(event)
      if (taken instanceof Promise) return taken.then(() => this.#keep())
    }
    return undefined
  }

  #take(event: AttachmentEvent): void | Promise<void> {
    if (event.kind === 'octets') return this.#attachment?.write(event.octets)
    if (event.kind === 'finish') return this.#finish()
    const { attachment } = event
    if (this.#kept.length >= MAX_APART || !isSection(attachment.section)) return
    this.#attachment = new ArrivingAttachment(this.#given.id, attachment, this.#options)
  }

  #finish(): void | Promise<void> {
    const attachment = this.#attachment
    if (attachment === undefined) return
    const committed = attachment.commit()
    if (committed !== undefined)
      return committed.then((record) => void this.#kept.push(record)).finally(() => this.#forget())
    this.#forget()
  }

  #forget(): void {
    this.#attachment = undefined
  }

  #event(): AttachmentEvent | undefined {
    return this.#attempt(() => this.#reader.next())
  }

  #attempt<T>(read: () => T): T | undefined {
    if (this.#isOver) return undefined
    try {
      return read()
    } catch {
      this.#isOver = true
      // The store may not wait for this. It never rejects.
      void this.#attachment?.drop()
      this.#attachment = undefined
      return undefined
    }
  }

  #withKept(facts: MailFacts | undefined): MailFacts {
    return { ...facts, ...(this.#kept.length > 0 && { attachments: this.#kept }) }
  }
}

/** One attachment while it arrives. */
class ArrivingAttachment {
  readonly #id: string
  readonly #head: AttachmentHead
  readonly #place: AttachmentStore
  readonly #held: HeldBytes
  readonly #digest = new Digest()
  #writer: BlobWriter | undefined

  constructor(id: string, head: AttachmentHead, { place, aboveBytes }: ApartOptions) {
    this.#id = id
    this.#head = head
    this.#place = place
    this.#held = new HeldBytes({ maxBytes: aboveBytes, firstBytes: FIRST_BUFFER_BYTES, expectedBytes: undefined })
  }

  write(octets: Uint8Array): void | Promise<void> {
    if (this.#writer === undefined) {
      if (octets.length <= this.#held.room) return this.#held.add(octets)
      const first = this.#begin()
      if (first !== undefined) return first.then(() => this.#write(octets))
    }
    return this.#write(octets)
  }

  /** Makes the attachment durable. Returns undefined if it is so small that it stays in the message. */
  commit(): Promise<AttachmentRecord> | undefined {
    const writer = this.#writer
    if (writer === undefined) return undefined
    const record = {
      ...this.#head,
      size: this.#digest.size,
      sha256: this.#digest.finish(),
      key: attachmentKey(this.#id, this.#head.section),
    }
    return writer.commit().then(() => record)
  }

  async drop(): Promise<void> {
    this.#held.forget()
    await this.#writer?.abort()
  }

  #begin(): void | Promise<void> {
    this.#writer = this.#place.write(this.#id, this.#head)
    const held = this.#held.view
    this.#held.forget()
    return this.#write(held)
  }

  #write(octets: Uint8Array): void | Promise<void> {
    this.#digest.update(octets)
    return this.#writer?.write(octets)
  }
}
