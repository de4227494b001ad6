/** Tells when a file has changed. It asks for the file's state now and then, which works on every disk, mount and runtime. */
import { stat } from 'node:fs/promises'

/** How often a file is looked at. */
const INTERVAL_MS = 1_000

/**
 * Calls `changed` after each change of one of the files, once its state is the same at two looks in a row: a writer may be in the middle.
 * Does not keep the process alive. @returns a function that stops it
 */
export function watchFiles(
  paths: readonly string[],
  changed: () => void,
  intervalMs: number = INTERVAL_MS,
): () => void {
  let known: string | undefined
  let seen: string | undefined
  let isLooking = false
  const look = async (): Promise<void> => {
    if (isLooking) return
    isLooking = true
    const state = (await Promise.all(paths.map(stateOf))).join('\n')
    isLooking = false
    known ??= state
    const isSettled = state === seen
    seen = state
    if (state === known || !isSettled) return
    known = state
    changed()
  }
  void look()
  const timer = setInterval(() => void look(), intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}

async function stateOf(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}
