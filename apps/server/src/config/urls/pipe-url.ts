/** Where a front pipes connections to, as a URL. */

export const PIPE_ALLOWED = 'the URL of a pipe, such as wss://mail.example.com/pipe'

/** Reads the URL of a pipe; undefined where it is none. */
export function parsePipeUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^wss?:$/.test(url.protocol) || url.hostname === '') return undefined
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined
  return url.href
}

/** Whether what goes there in clear is read by somebody else: by whoever is between two machines. */
export function isExposed(pipeUrl: string): boolean {
  const { protocol, hostname } = new URL(pipeUrl)
  return protocol === 'ws:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}
