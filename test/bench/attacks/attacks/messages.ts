/** Whole messages, one after another: the envelope in one write, then the text. */
import type { Field } from '../field.ts'
import type { MessagesOrder } from '../order.ts'
import type { Peer, PeerEvents } from '../peer.ts'
import { findLine } from './line.ts'

const REOPEN_MS = 20
const TEXT = 'Subject: attack\r\n\r\nHello\r\n.\r\n'

export function sendMessages(order: MessagesOrder, field: Field): void {
  findLine(order.lines, field, (line) => pour(order, line, field))
}

function pour({ connections, messages, mail, recipients }: MessagesOrder, line: string, field: Field): void {
  const rcpts = Array.from({ length: recipients }, (_, n) => `${line.replaceAll('{n}', String(n))}\r\n`)
  const envelope = Buffer.from(`${mail}\r\n${rcpts.join('')}DATA\r\n`, 'latin1')
  let sent = 0
  field.keepOpen(connections, REOPEN_MS, (): PeerEvents => {
    /** Replies to wait for. 0: the text was sent, or the transaction given up. */
    let awaited = 0
    const begin = (peer: Peer): void => {
      if (sent === messages || field.isSpent) return
      sent++
      awaited = recipients + 2
      peer.write(envelope)
    }
    return {
      replied(code, peer) {
        if (code === 421) return
        if (code === 220) return void peer.write('EHLO attacker.example\r\n')
        if (awaited === 0) return begin(peer)
        if (--awaited === 0) peer.write(code === 354 ? TEXT : 'RSET\r\n')
      },
    }
  })
}
