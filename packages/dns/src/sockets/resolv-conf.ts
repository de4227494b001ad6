/** Reads resolv.conf: resolv.conf(5). */
import { isIP } from 'node:net'
import type { ServerAddress } from './datagram.ts'

export interface ResolvConf {
  /** In the order in which they are to be asked. */
  readonly servers: readonly ServerAddress[]
  /** False if the file names no server. Then `servers` is the one on this machine. */
  readonly namesServer: boolean
  /** How long each of them may take. */
  readonly attemptTimeoutMs: number
  /** How often all of them are asked. */
  readonly attempts: number
  /** What the file says and nobody heeds, with the reason: one line each. */
  readonly ignored: readonly string[]
}

const PORT = 53
const MAX_SERVERS = 8
const MAX_IGNORED = 20
/** As in resolv.conf(5): the default and the greatest value. */
const TIMEOUT_SECONDS = { byDefault: 5, max: 30 } as const
const ATTEMPTS = { byDefault: 2, max: 5 } as const
const WHOLE_NAMES = 'only whole names are looked up'

/** Reads the text of a file. A file without a server means the one on this machine. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: ServerAddress[] = []
  const ignored: string[] = []
  let timeoutSeconds: number = TIMEOUT_SECONDS.byDefault
  let attempts: number = ATTEMPTS.byDefault

  function readOption(option: string): void {
    const [name, value = ''] = option.split(':', 2)
    const number = /^\d{1,4}$/.test(value) ? Number(value) : 0
    if (name === 'timeout' && number > 0) timeoutSeconds = Math.min(number, TIMEOUT_SECONDS.max)
    else if (name === 'attempts' && number > 0) attempts = Math.min(number, ATTEMPTS.max)
    else if (name === 'ndots') ignored.push(`${option}: ${WHOLE_NAMES}`)
    else ignored.push(`options ${option}: not supported`)
  }

  for (const line of text.split('\n')) {
    // A comment begins the line.
    if (line.startsWith('#') || line.startsWith(';')) continue
    const [keyword = '', ...words] = line.split(/\s/).filter((word) => word !== '')
    if (keyword === 'nameserver') {
      const [address = ''] = words
      if (isIP(address) === 0) ignored.push(`nameserver ${address}: not an IP address`)
      else if (servers.length === MAX_SERVERS) ignored.push(`nameserver ${address}: only ${MAX_SERVERS} are asked`)
      else servers.push({ address, port: PORT })
    } else if (keyword === 'options') words.forEach(readOption)
    else if (keyword === 'search' || keyword === 'domain') ignored.push(`${keyword}: ${WHOLE_NAMES}`)
    else if (keyword !== '') ignored.push(`${keyword}: not supported`)
  }
  return {
    servers: servers.length === 0 ? [{ address: '127.0.0.1', port: PORT }] : servers,
    namesServer: servers.length > 0,
    attemptTimeoutMs: timeoutSeconds * 1000,
    attempts,
    ignored: ignored.slice(0, MAX_IGNORED),
  }
}
