/** Reads the URL that a front pipes connections to. */

export const PIPE_ALLOWED = 'the URL of a pipe, such as wss://mail.example.com/pipe'

/** Reads the URL of a pipe. Returns undefined if it is not one. */
export function parsePipeUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || !/^wss?:$/.test(url.protocol) || url.hostname === '') return undefined
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined
  return url.href
}

/** Returns whether data to this URL crosses a network without encryption. */
export function isExposed(pipeUrl: string): boolean {
  const { protocol, hostname } = new URL(pipeUrl)
  return protocol === 'ws:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}
