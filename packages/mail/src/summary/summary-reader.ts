/** Reads a message beside whoever keeps it: it is given the same bytes, and holds up nobody. */
import { ARRIVING_MIME_LIMITS } from '../mime/limits.ts'
import { MimeReader } from '../mime/reader.ts'
import { type MailSummary, SummaryBuilder } from './summary.ts'

export class SummaryReader {
  readonly #reader = new MimeReader({ limits: ARRIVING_MIME_LIMITS, opensMessages: false })
  readonly #builder = new SummaryBuilder()

  /** Takes the next bytes of the message. */
  write(bytes: Uint8Array): void {
    this.#reader.receive(bytes)
    this.#read()
  }

  /** The message is whole. */
  end(): MailSummary {
    this.#reader.end()
    this.#read()
    return this.#builder.end()
  }

  #read(): void {
    for (;;) {
      const event = this.#reader.next()
      if (event === undefined || event.kind === 'end') return
      if (event.kind === 'part') this.#builder.part(event.part)
      else this.#builder.body(event.octets)
    }
  }
}
