/** Connections that guess passwords by AUTH PLAIN. Each guess comes as soon as the one before is answered. */
import type { Field } from '../field.ts'
import type { GuessOrder } from '../order.ts'
import type { PeerEvents } from '../peer.ts'

const REOPEN_MS = 20

export function guess({ connections, usernames }: GuessOrder, field: Field): void {
  let guesses = 0
  field.keepOpen(connections, REOPEN_MS, (index): PeerEvents => {
    const username = usernames[index % usernames.length] as string
    return {
      replied(code, peer) {
        if (field.isSpent || code === 421) return
        if (code === 220) peer.write('EHLO attacker.example\r\n')
        else peer.write(`AUTH PLAIN ${Buffer.from(`\0${username}\0wrong${++guesses}`).toString('base64')}\r\n`)
      },
    }
  })
}
