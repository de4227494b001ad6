/**
 * The file of a Unix socket: its permissions, and its removal if it is of a dead process. The file stays if that process had no time to
 * remove it.
 */
import { chmodSync } from 'node:fs'
import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'

/**
 * Gives the socket its permissions, synchronously: nothing says yet that it listens. A umask would do it too, but that is one
 * for all threads, and another thread may create a file at that moment.
 */
export function setMode(path: string, mode: number | undefined): void {
  if (mode !== undefined) chmodSync(path, mode)
}

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
