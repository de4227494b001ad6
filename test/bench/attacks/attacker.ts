/**
 * The attacker, in its own process. It reads an order from standard input and writes the outcome. Another line ends the
 * attack.
 */
import { createInterface } from 'node:readline'
import { flood } from './attacks/flood.ts'
import { guess } from './attacks/guess.ts'
import { idle } from './attacks/idle.ts'
import { sendMessages } from './attacks/messages.ts'
import { nameRecipients } from './attacks/recipients.ts'
import { openSilent } from './attacks/silent.ts'
import { Field } from './field.ts'
import type { AttackOrder } from './order.ts'

let field: Field | undefined

for await (const line of createInterface({ input: process.stdin })) {
  if (field !== undefined) field.end()
  else void attack(JSON.parse(line) as AttackOrder)
}

async function attack(order: AttackOrder): Promise<void> {
  const own = new Field(order)
  field = own
  begin(order, own)
  process.stdout.write(`${JSON.stringify(await own.outcome())}\n`)
  field = undefined
}

function begin(order: AttackOrder, field: Field): void {
  switch (order.kind) {
    case 'flood':
      return flood(order, field)
    case 'guess':
      return guess(order, field)
    case 'idle':
      return idle(order, field)
    case 'messages':
      return sendMessages(order, field)
    case 'recipients':
      return nameRecipients(order, field)
    case 'silent':
      return openSilent(order, field)
  }
}
