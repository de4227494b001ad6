/** Ends a measurement that takes too long, or that somebody interrupts, with all that it has started. programs.ts ends the programs. */
import { rmSync } from 'node:fs'
import process from 'node:process'
import { Scratch } from '../../kit/scratch.ts'

/** Ends this process after so many milliseconds. */
export function endAfter(ms: number): void {
  setTimeout(() => {
    console.error(`ended: it took more than ${ms / 1000} s`)
    process.exit(1)
  }, ms).unref()
}

const ends = new Set<() => void>()
process.once('exit', () => {
  // What began last ends first: a server ends before its directory is removed.
  for (const end of [...ends].toReversed()) {
    try {
      end()
    } catch {
      // What it would end has not begun, or has ended.
    }
  }
})

/** Calls `end` when this process ends, unless what it returns was called before. It cannot wait for anything, and may fail. */
export function atExit(end: () => void): () => void {
  ends.add(end)
  return () => void ends.delete(end)
}

/** Makes a directory that is removed even if the process is interrupted. */
export async function makeScratch(): Promise<Scratch> {
  const scratch = await Scratch.make()
  atExit(() => rmSync(scratch.path, { recursive: true, force: true }))
  return scratch
}
