/**
 * The reader searches long packets with other methods than short ones. Tests every way to end a packet, at every alignment.
 *
 * A search that once went back in the last few octets of a packet never ended, so one message stopped the server.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'

let service: Service
beforeAll(async () => {
  service = await Service.start({ bareLineEndings: 'preserve' })
})
afterAll(() => service.close())

/** Bytes that may lie across the end of a packet, or across the end of its last whole word. */
const TAILS: readonly string[] = [
  'x', '\r', '\r\n', '\r\n.', '\r\n.\r', '.', '\n', '\r\n \r', '\r\n \r@', '\n\n\n', '\r\r\r\r\r', '\r\n\r\n\r', 'a\rb\nc', '\r\n..', '\t\0\v\f', '\r\nQUIT\r\n \r@',
] // prettier-ignore
const SIZES = Array.from({ length: 9 }, (_, i) => 508 + i).concat([1_021, 1_022, 1_023, 1_024, 4_093])
const START = 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n'

test.each(TAILS.map((tail) => [JSON.stringify(tail), tail]))(
  'a message that ends with %s is kept whole, wherever its packets end',
  async (_, tail) => {
    const client = await service.at(['EHLO client.example'])
    const { kept } = service.record(client)
    for (const size of SIZES) {
      const text = 'x'.repeat(size - tail.length) + tail
      const whole = `${text}|\r\n`
      // Sends the message in its own packets, then in one packet with its commands.
      await client.expectAll(START.trimEnd().split('\r\n'))
      await client.sendPieces([text, '|\r\n.\r\n'])
      await client.sendPieces([START + text, '|\r\n.\r\n'])
      expect((await client.replies(5)).map(short)).toEqual(['250 2.0.0', '250 2.1.0', '250 2.1.5', '354', '250 2.0.0'])
      const right = whole.replace(/(^|\r\n)\./g, '$1')
      expect(kept.splice(0).map((message) => message.text)).toEqual([right, right])
    }
  },
)
