/**
 * Removes the Unix socket of a dead process. A Unix socket is a file, and stays if the process had no time to remove
 * it.
 */
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'

/**
 * Removes `path` if listening failed because the path exists, and if it is a socket on which nobody listens. Returns
 * whether the caller should try again.
 */
export async function removeStale(error: unknown, path: string): Promise<boolean> {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return false
  try {
    // A connection to a plain file is refused too.
    if (!(await lstat(path)).isSocket() || (await knock(path)) !== 'ECONNREFUSED') return false
    await rm(path)
    return true
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

/** Connects and closes. Resolves to the code of the error, or to undefined if somebody listens. */
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
