/**
 * The two outputs, as threads write to them: each piece whole, one behind the other, and written when the call returns, so that what
 * a worker said is not lost with it. A reader that is slow makes them wait, as it does a server without workers.
 */
import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { errorCode } from '../host/failure.ts'
import { SharedLock } from './lock.ts'

/** Writes a piece; one that can't be written is not missed: the program goes on. */
export interface Output {
  readonly isTTY: boolean
  write(text: string): void
}

/** A reader may be slow. */
const LOCK_PATIENCE_MS = 60_000
const PAUSE_MS = 5

/** Standard output (1) or the log (2). @param words Shared by all threads, of which the first is the lock. */
export function sharedOutput(descriptor: 1 | 2, words: Int32Array): Output {
  const lock = new SharedLock(words, 0, LOCK_PATIENCE_MS)
  return {
    isTTY: isatty(descriptor),
    write(text) {
      const bytes = Buffer.from(text)
      lock.run(() => writeAll(descriptor, bytes))
    },
  }
}

/** Nothing ever changes it. */
const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      // A pipe that does not block, and is full.
      if (errorCode(error) !== 'EAGAIN') return
      Atomics.wait(NEVER, 0, 0, PAUSE_MS)
    }
  }
}
