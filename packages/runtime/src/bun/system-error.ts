const SYSCALLS: readonly string[] = ['listen', 'connect', 'getaddrinfo']

/**
 * Turns Bun's 'Failed to listen' into Node's error: `listen EADDRINUSE 127.0.0.1:25`, with the same `code` and
 * `syscall`. Returns any other error unchanged.
 */
export function systemError(error: unknown, where: string): unknown {
  const { code, syscall, errno, message } = error as NodeJS.ErrnoException
  // The kernel cannot make such a socket, of IPv6 for example.
  if (code === undefined && message?.startsWith('Failed to listen')) {
    return Object.assign(new Error(`listen failed at ${where}; Bun does not say why`, { cause: error }), {
      code: 'UNKNOWN',
    })
  }
  if (code === undefined || !SYSCALLS.includes(syscall ?? '')) return error
  return Object.assign(new Error(`${syscall} ${code} ${where}`, { cause: error }), { code, syscall, errno })
}
