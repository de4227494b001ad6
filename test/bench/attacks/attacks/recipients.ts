/** Transactions with as many recipients as the server accepts. They stay open, so the server's memory for them adds up. */
import type { Field } from '../field.ts'
import type { RecipientsOrder } from '../order.ts'
import type { PeerEvents } from '../peer.ts'
import { findLine, OPENING } from './line.ts'

/** Commands in one write. */
const BATCH = 50

export function nameRecipients(order: RecipientsOrder, field: Field): void {
  let begun = 0
  findLine(order.lines, field, (line) => {
    const next = (): void => {
      if (begun === order.connections || field.isSpent) return
      begun++
      field.open(sender(line, next))
    }
    for (let i = 0; i < order.senders; i++) next()
  })

  function sender(line: string, done: () => void): PeerEvents {
    const batch = Buffer.from(`${line}\r\n`.repeat(BATCH), 'latin1')
    let left = Math.ceil(order.recipientsPerConnection / BATCH)
    let awaited = 0
    let isDone = false
    /** The connection stays open, and the next one begins. */
    const finish = (): void => {
      if (!isDone) done()
      isDone = true
    }
    return {
      replied(code, peer) {
        if (code === 220) {
          awaited = 2
          return void peer.write(OPENING)
        }
        if (code !== 250) return finish()
        if (--awaited > 0 || isDone) return
        if (left === 0 || field.isSpent) return finish()
        left--
        awaited = BATCH
        peer.write(batch)
      },
      closed: finish,
    }
  }
}
