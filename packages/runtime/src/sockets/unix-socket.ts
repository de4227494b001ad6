/** A Unix socket is a file, which outlives a process that had no time to remove it. */
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'

/**
 * Where listening failed because `path` is taken: removes it, if it is a socket that nobody answers on any more.
 * Answers whether it is worth another try.
 */
export async function removeStale(error: unknown, path: string): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return false
  try {
    // Connecting to a plain file is refused just the same.
    if (!(await lstat(path)).isSocket() || (await knock(path)) !== 'ECONNREFUSED') return false
    await rm(path)
    return true
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

/** Connects and leaves; resolves to the code of the error, or undefined where somebody answers. */
function knock(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
  })
}
