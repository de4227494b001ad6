/** Servers that say anything at any time: the client ends, with a result that is true or an error that has a type. */
import { ClientError, openClient, type SendResult } from '@postern/engine/client'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { binary } from '../protocol.ts'
import { wrapped } from './house.ts'
import { type Step, scripted } from './scripted.ts'

const REPLIES = [
  '220 mx\r\n',
  '250 mx\r\n',
  '250-mx\r\n250 PIPELINING\r\n',
  '250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n',
  '250-mx\r\n250-SIZE 5\r\n250 STARTTLS\r\n',
  '354 Go on\r\n',
  '334 \r\n',
  '421 4.3.2 Closing\r\n',
  '451 4.3.0 Later\r\n',
  '550 5.1.1 No\r\n',
  '250-',
  '\r\n',
  '\0',
  'x',
]
const ENVELOPE = { reversePath: 'a@x.example', forwardPaths: ['b@y.example', 'c@y.example'] }
const MESSAGE = 'Subject: x\r\n\r\nHello\r\n'

/** Some scripts wait for the client when it waits for them. */
const SHORT = { greetingMs: 2, helloMs: 2, mailMs: 2, rcptMs: 2, dataMs: 2, finalMs: 2 }

/** A turn: the server waits for a line or not, and says something. Most begin as a server should. */
const turn = fc.tuple(fc.boolean(), fc.constantFrom(...REPLIES))
const script = fc.record({
  isGreeted: fc.integer({ min: 0, max: 9 }).map((chance) => chance > 0),
  offer: fc.constantFrom(...REPLIES.slice(1, 5)),
  turns: fc.array(turn, { maxLength: 9 }),
  isLmtp: fc.boolean(),
  isStream: fc.boolean(),
  chunkBytes: fc.integer({ min: 1, max: 60 }),
})

test('whatever a server says, the client ends, and says that a message was taken only if it was sent', async () => {
  await fc.assert(
    fc.asyncProperty(script, async ({ isGreeted, offer, turns, isLmtp, isStream, chunkBytes }) => {
      const line: Step = { waitFor: '\r\n' }
      const begin: Step[] = isGreeted ? ['220 mx\r\n', line, offer] : []
      const steps = turns.flatMap(([waits, text]): Step[] => (waits ? [line, text] : [text]))
      const { duplex: own, received } = scripted([...begin, ...steps, { act: 'end' }], { chunkBytes })
      let written = ''
      const duplex = wrapped(own, {
        write(bytes) {
          written += binary(bytes)
          return own.write(bytes)
        },
      })
      let result: SendResult | undefined
      let error: unknown
      try {
        const client = await openClient(duplex, {
          hostname: 'client.example.com',
          protocol: isLmtp ? 'lmtp' : 'smtp',
          startTls: 'never',
          timeouts: SHORT,
        })
        result = await client.send(ENVELOPE, isStream ? [new TextEncoder().encode(MESSAGE)] : MESSAGE)
        client.destroy()
      } catch (reason) {
        error = reason
      }
      duplex.destroy()
      await received
      const sent = written.includes('Hello\r\n')
      if (result === undefined) {
        expect(error).toBeInstanceOf(ClientError)
        const { mayBeAccepted, recipients } = error as ClientError
        expect(mayBeAccepted || recipients.some(({ isAccepted }) => isAccepted) ? sent : true).toBe(true)
      } else {
        expect(sent).toBe(true)
        expect(result.recipients).toHaveLength(2)
        expect(result.recipients.some(({ isAccepted }) => isAccepted)).toBe(true)
      }
    }),
    { numRuns: 300 },
  )
})
