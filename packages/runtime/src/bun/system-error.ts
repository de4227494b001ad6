const SYSCALLS: readonly string[] = ['listen', 'connect', 'getaddrinfo']

/**
 * Bun's 'Failed to listen' with what the system said, as Node words it: `listen EADDRINUSE 127.0.0.1:25`, and the same
 * `code` and `syscall`. What is no such error stays as it is.
 */
export function systemError(error: unknown, where: string): unknown {
  const { code, syscall, errno } = error as NodeJS.ErrnoException
  if (code === undefined || !SYSCALLS.includes(syscall ?? '')) return error
  return Object.assign(new Error(`${syscall} ${code} ${where}`, { cause: error }), { code, syscall, errno })
}
