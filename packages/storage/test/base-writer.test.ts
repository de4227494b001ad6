/** The base class of all writers, with a backend whose writes fail. */
import { StorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { BaseWriter } from '../src/blob/base-writer.ts'
import { expectCode } from './blob-contract.ts'

class FailingWriter extends BaseWriter {
  drops = 0

  protected override async take(): Promise<void> {
    await Promise.resolve()
    throw new Error('the disk is gone')
  }

  protected override async finish(): Promise<void> {}

  protected override drop(): void {
    this.drops++
  }

  protected override failure(cause: unknown): StorageError {
    return new StorageError('unavailable', `can't write ${this.name}`, { cause })
  }
}

test('a write that fails while no caller waits for it fails only its own blob', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  try {
    const writer = new FailingWriter('a/b', undefined)
    void writer.write(Uint8Array.of(1))
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(() => writer.write(Uint8Array.of(2))).toThrow('has ended')
    await expectCode('unavailable', () => writer.commit())
    await writer.abort()
    expect(writer.drops).toBeGreaterThan(0)
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})
