/** The bytes of a message that waits for its verdicts are the same again, wherever they are cut and wherever they wait. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BudgetError, HeaderBudget, HeldBytes, type Overflow } from '../src/verification/held.ts'

const KiB = 1024

/** Keeps its bytes in memory, and knows whether it was closed. */
class MemoryOverflow implements Overflow {
  readonly chunks: Uint8Array[] = []
  isClosed = false

  async write(bytes: Uint8Array): Promise<void> {
    this.chunks.push(bytes.slice())
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.chunks
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

async function hold(
  message: Uint8Array,
  size: number,
  budget = new HeaderBudget(10_000 * KiB),
): Promise<{ readonly held: HeldBytes; readonly opened: readonly MemoryOverflow[] }> {
  const opened: MemoryOverflow[] = []
  const held = new HeldBytes(() => {
    const overflow = new MemoryOverflow()
    opened.push(overflow)
    return overflow
  }, budget)
  const view = new Uint8Array(size)
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size)
    view.set(piece)
    await held.add(view.subarray(0, piece.length))
    view.fill(0x21)
  }
  return { held, opened }
}

test('all bytes come back in their order, and the header is in memory as a whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 300 * KiB }),
      fc.integer({ min: 0, max: 200 * KiB }),
      fc.integer({ min: 50, max: 70_000 }),
      fc.constantFrom('\r\n', '\n'),
      async (headerBytes, bodyBytes, size, end) => {
        const header = `X: ${'y'.repeat(90)}${end}`.repeat(Math.ceil(Math.min(headerBytes, 256 * KiB - 200) / 95))
        const message = Buffer.from(`${header}${end}${'body '.repeat(bodyBytes / 5)}`)
        const { held, opened } = await hold(message, size)
        const chunks: Uint8Array[] = [held.first.slice()]
        for await (const chunk of held.others()) chunks.push(chunk)
        expect(Buffer.concat(chunks).equals(message)).toBe(true)
        expect(held.headerEnd).toBe(header.length)
        expect(opened.length).toBeLessThanOrEqual(1)
        await held.close()
        expect(opened.every(({ isClosed }) => isClosed)).toBe(true)
      },
    ),
    { numRuns: 40 },
  )
})

test('a long header takes from the budget of all messages, and gives it back', async () => {
  const long = Buffer.from(`X: ${'y'.repeat(200 * KiB)}\r\n\r\n`)
  const budget = new HeaderBudget(600 * KiB)
  const { held } = await hold(long, 8 * KiB, budget)
  await expect(hold(long, 8 * KiB, budget)).rejects.toBeInstanceOf(BudgetError)
  await held.close()
  await held.close()
  await hold(long, 8 * KiB, budget)
  await hold(Buffer.from(`A: b\r\n\r\n${'x'.repeat(1000 * KiB)}`), 8 * KiB, budget)
})
