const SYSCALLS: readonly string[] = ['listen', 'connect', 'getaddrinfo']

/**
 * Bun's 'Failed to listen' with what the system said, as Node words it: `listen EADDRINUSE 127.0.0.1:25`, and the same
 * `code` and `syscall`. What is no such error stays as it is.
 */
export function systemError(error: unknown, where: string): unknown {
  const { code, syscall, errno, message } = error as NodeJS.ErrnoException
  // Where the kernel makes no such socket (IPv6, say).
  if (code === undefined && message?.startsWith('Failed to listen')) {
    return Object.assign(new Error(`listen failed at ${where}; Bun does not say why`, { cause: error }), {
      code: 'UNKNOWN',
    })
  }
  if (code === undefined || !SYSCALLS.includes(syscall ?? '')) return error
  return Object.assign(new Error(`${syscall} ${code} ${where}`, { cause: error }), { code, syscall, errno })
}
