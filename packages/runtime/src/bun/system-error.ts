const SYSCALLS: readonly string[] = ['listen', 'connect', 'getaddrinfo']

/**
 * Makes Node's error of Bun's 'Failed to listen': `listen EADDRINUSE 127.0.0.1:25`, with the same `code` and `syscall`. Returns
 * any other error as it is.
 */
export function systemError(error: unknown, where: string): unknown {
  const { code, syscall, errno, message } = error as NodeJS.ErrnoException
  // The kernel makes no such socket (IPv6, say).
  if (code === undefined && message?.startsWith('Failed to listen')) {
    return Object.assign(new Error(`listen failed at ${where}; Bun does not say why`, { cause: error }), {
      code: 'UNKNOWN',
    })
  }
  if (code === undefined || !SYSCALLS.includes(syscall ?? '')) return error
  return Object.assign(new Error(`${syscall} ${code} ${where}`, { cause: error }), { code, syscall, errno })
}
