/** Addresses in the fields of a message: RFC 5322 3.4, RFC 6854. */
import { decodeWords } from './encoded-words.ts'

export interface Mailbox {
  /** What the sender calls it, decoded. It is a stranger's text, and may itself look like an address. */
  readonly name?: string
  /** Without angle brackets, comments and blanks. */
  readonly address: string
}

type Place = 'before' | 'inside' | 'behind'

/**
 * Reads the mailboxes of a field. Those of a group are among them. What is no address is left out. Reads each character once.
 * @param max Mailboxes that are returned
 */
export function parseMailboxes(field: string, max: number): Mailbox[] {
  const scanner = new MailboxScanner(max)
  for (let at = 0; at < field.length && !scanner.isFull;) {
    const end = plainEnd(field, at)
    if (end > at) {
      scanner.plain(field.slice(at, end))
      at = end
      continue
    }
    const character = field[at++] as string
    if (character === '\\' && scanner.escapes) scanner.quoted(field[at++] ?? '')
    else scanner.take(character)
  }
  scanner.end()
  return scanner.mailboxes
}

/** Returns where the run of characters ends that mean nothing but themselves anywhere in a field. */
function plainEnd(field: string, start: number): number {
  let end = start
  while (end < field.length && !SPECIALS.includes(field[end] as string)) end++
  return end
}

const SPECIALS = ' \t"(),:;<>\\'

class MailboxScanner {
  readonly mailboxes: Mailbox[] = []
  readonly #max: number
  #place: Place = 'before'
  #isQuoted = false
  #depth = 0
  /** What stands in front of an angle bracket, as it is to be shown. */
  #name = ''
  /** The same as an address: with its quotes, and without blanks. */
  #address = ''
  #comment = ''

  constructor(max: number) {
    this.#max = max
  }

  get isFull(): boolean {
    return this.mailboxes.length >= this.#max
  }

  /** A backslash quotes the next character. */
  get escapes(): boolean {
    return this.#isQuoted || this.#depth > 0
  }

  /** Takes characters that mean nothing but themselves. */
  plain(text: string): void {
    if (this.#depth > 0) this.#comment += text
    else this.#add(text, text)
  }

  quoted(character: string): void {
    if (this.#depth > 0) this.#comment += character
    else this.#add(character, `\\${character}`)
  }

  take(character: string): void {
    if (this.#depth > 0) this.#takeComment(character)
    else if (this.#isQuoted) {
      if (character === '"') this.#isQuoted = false
      this.#add(character === '"' ? '' : character, character)
    } else this.#takePlain(character)
  }

  end(): void {
    if (this.#place !== 'inside') this.#finish()
  }

  #takeComment(character: string): void {
    if (character === '(') this.#depth++
    else if (character === ')') this.#depth--
    if (this.#depth > 0) this.#comment += character
  }

  #takePlain(character: string): void {
    switch (character) {
      case '"':
        this.#isQuoted = true
        this.#add('', '"')
        return
      case '(':
        this.#depth = 1
        if (this.#comment !== '') this.#comment += ' '
        return
      case '<':
        this.#place = 'inside'
        this.#address = ''
        return
      case '>':
        if (this.#place === 'inside') this.#place = 'behind'
        return
      case ',':
      case ';':
        this.#finish()
        return
      case ':':
        // The name of a group ends, or a source route (RFC 5322 4.4).
        this.#address = ''
        if (this.#place === 'before') this.#name = ''
        return
      default:
        this.#add(character, character === ' ' || character === '\t' ? '' : character)
    }
  }

  #add(shown: string, written: string): void {
    if (this.#place === 'before') this.#name += shown
    if (this.#place !== 'behind') this.#address += written
  }

  #finish(): void {
    const address = this.#address
    // Without angle brackets, a comment is the name, as old programs write it.
    const name = decodeWords((this.#place === 'before' ? this.#comment : this.#name).trim())
    if (!this.isFull && isAddress(address)) this.mailboxes.push(name === '' ? { address } : { name, address })
    this.#place = 'before'
    this.#name = this.#address = this.#comment = ''
    this.#isQuoted = false
  }
}

function isAddress(text: string): boolean {
  const at = text.lastIndexOf('@')
  return at > 0 && at < text.length - 1
}
