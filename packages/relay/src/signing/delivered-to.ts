/** Finds loops of forwarded mail: whoever forwards a message for an address names the address in a Delivered-To field. */
import { HeaderReader, valueOf } from '@postern/mail/signatures'
import type { Chunks } from './signature.ts'

/**
 * Returns the addresses in the Delivered-To fields of a message, in lower case. Of a header that is no header, or that is longer than 256 KiB, none:
 * then the count of Received fields ends a loop.
 */
export async function deliveredTo(message: Chunks): Promise<ReadonlySet<string>> {
  const reader = new HeaderReader()
  for await (const chunk of message) {
    reader.take(chunk)
    if (reader.isDone) break
  }
  const fields = reader.fields()
  if (typeof fields === 'string') return new Set()
  const found = fields.filter(({ name }) => name === 'delivered-to')
  return new Set(found.map((field) => comparable(Buffer.from(valueOf(field), 'latin1').toString())))
}

/** Returns the form in which addresses of Delivered-To are compared. */
export function comparable(address: string): string {
  return address.trim().toLowerCase()
}
