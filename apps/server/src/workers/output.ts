/**
 * Writes of several threads to standard output and the log.
 * Pieces of different threads are never mixed. A piece is written when the call returns, so nothing is lost if the
 * worker dies. A slow reader blocks the threads, as it does in a server without workers.
 */
import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { errorCode } from '../host/failure.ts'
import { SharedLock } from './lock.ts'

/** Writes pieces of text. If a piece can't be written, the program goes on. */
export interface Output {
  readonly isTTY: boolean
  write(text: string): void
}

/** The time is long, because a slow reader keeps a thread inside the lock. */
const LOCK_PATIENCE_MS = 60_000
const PAUSE_MS = 5

/** Opens standard output (1) or the log (2). @param words Memory that all threads share; the first word is the lock */
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

/** A word that never changes. A thread sleeps on it. */
const NEVER = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      // The pipe is full and does not block.
      if (errorCode(error) !== 'EAGAIN') return
      Atomics.wait(NEVER, 0, 0, PAUSE_MS)
    }
  }
}
