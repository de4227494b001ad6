/** Counts the Received fields of a message, which tell how often it was relayed: RFC 5321 6.3. A message that loops has many. */

const LF = 10
const CR = 13
const NAME = 'received:'
/**
 * Octets in which fields are counted. Each server writes its field in front of the others, so a loop shows in the first octets. A
 * hundred fields of ordinary length have 30,000.
 */
const MAX_OCTETS = 1_048_576

export class ReceivedFields {
  count = 0
  /** True if no more fields can come: the header has ended, or it is too long. */
  isOver = false

  /** Octets of NAME with which the line begins so far. -1: the line begins otherwise, or is counted. */
  #matched = 0
  #octetsLeft = MAX_OCTETS

  /** Counts the fields that begin in the next bytes of the message. */
  read(bytes: Uint8Array): void {
    let matched = this.#matched
    let i = 0
    while (i < bytes.length) {
      if (matched < 0) {
        i = bytes.indexOf(LF, i) + 1
        if (i === 0) break
        matched = 0
        continue
      }
      const octet = bytes[i++] as number
      if (matched === 0 && (octet === CR || octet === LF)) {
        this.isOver = true
        return
      }
      if ((octet >= 65 && octet <= 90 ? octet + 32 : octet) !== NAME.charCodeAt(matched)) {
        matched = octet === LF ? 0 : -1
      } else if (++matched === NAME.length) {
        this.count++
        matched = -1
      }
    }
    this.#matched = matched
    this.#octetsLeft -= bytes.length
    if (this.#octetsLeft <= 0) this.isOver = true
  }
}
