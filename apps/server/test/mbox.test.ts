/** Quoting of From lines in an mbox, wherever chunks end and however long a line is. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StoredMail } from '@postern/storage'
import { mboxMessage } from '../src/cli/export/mbox.ts'

function mailOf(body: AsyncIterable<Uint8Array>): StoredMail {
  const record = { reversePath: { address: 'a@example.com' }, receivedAt: '2026-11-30T10:00:00.000Z' }
  return { record, body } as unknown as StoredMail
}

async function* chunksOf(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text, 'latin1')
}

/** Returns the message in its mbox form, without the From line before it and the empty line after it. */
async function quoted(texts: readonly string[]): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of mboxMessage(mailOf(chunksOf(texts)))) chunks.push(chunk)
  const whole = Buffer.concat(chunks).toString('latin1')
  return whole.slice(whole.indexOf('\n') + 1).replace(/\n\n?$/, '')
}

test('a line that begins with From, after any number of >, gets one more >', async () => {
  const piece = fc.constantFrom('>', '>>', 'F', 'Fro', 'From', 'From ', ' ', '\n', '\r\n', '\r', 'a')
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      const lines = pieces.join('').replaceAll('\r\n', '\n').split('\n')
      const expected = lines.map((line) => (/^>*From /.test(line) ? `>${line}` : line)).join('\n')
      expect(await quoted(pieces)).toBe(expected.replace(/\n$/, ''))
    }),
    { numRuns: 2_000 },
  )
})

test('a line of only > is written as it arrives, however long it is', async () => {
  let written = 0
  let mostHeld = 0
  async function* body(): AsyncGenerator<Uint8Array> {
    for (let given = 0; given < 100_000; given += 1_000) {
      mostHeld = Math.max(mostHeld, given - written)
      yield Buffer.from('>'.repeat(1_000))
    }
    yield Buffer.from('From a\n')
  }
  const chunks: Buffer[] = []
  for await (const chunk of mboxMessage(mailOf(body()))) {
    chunks.push(Buffer.from(chunk))
    written += chunk.length
  }
  expect(mostHeld).toBeLessThanOrEqual(1_000)
  expect(Buffer.concat(chunks).toString().split('\n')[1]).toBe(`${'>'.repeat(100_001)}From a`)
})
