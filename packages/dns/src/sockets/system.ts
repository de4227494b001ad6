/** The servers that this machine is set up to ask, as its file says now. */
import { readFile, stat } from 'node:fs/promises'
import type { Servers, Upstream } from '../upstream.ts'
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts'
import { udpUpstream } from './server.ts'

/** Options of a resolver. */
export interface SystemUpstreams extends Pick<ResolvConf, 'attempts' | 'attemptTimeoutMs' | 'ignored'> {
  readonly upstreams: readonly Upstream[]
  /** Returns the servers as the file says now. It looks at the file at most every five seconds. Never rejects. */
  refresh(): Promise<Servers>
}

const LOOK_EVERY_MS = 5_000

/**
 * Reads resolv.conf. `refresh` reads it again if its time, size or inode has changed. If it is gone then, cannot be read, or names no
 * server, the servers stay as they are.
 *
 * @param now A clock in milliseconds. Default: `performance.now`
 * @throws if it cannot be read
 */
export async function systemUpstreams(
  file: string = '/etc/resolv.conf',
  now: () => number = () => performance.now(),
): Promise<SystemUpstreams> {
  // A change between the two is seen by the next look, which finds another stamp.
  let stamp = await stampOf(file)
  let text = await readFile(file, 'utf8')
  const first = serversOf(parseResolvConf(text))
  let servers: Servers = first
  let lookedMs = now()
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    try {
      const seen = await stampOf(file)
      if (seen === stamp) return
      const found = await readFile(file, 'utf8')
      const read = parseResolvConf(found)
      // Somebody may be writing it, so the next look reads it again.
      if (!read.namesServer) return
      if (found !== text) servers = serversOf(read)
      text = found
      stamp = seen
    } catch {
      // It is gone, or cannot be read.
    }
  }

  return {
    ...first,
    async refresh() {
      if (looking === undefined && now() - lookedMs >= LOOK_EVERY_MS) {
        lookedMs = now()
        looking = look().finally(() => (looking = undefined))
      }
      await looking
      return servers
    },
  }
}

/** Follows a link, because the name may be one to a file that a program of the network replaces. */
async function stampOf(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file)
  return `${mtimeMs} ${size} ${ino}`
}

function serversOf({ servers, attempts, attemptTimeoutMs, ignored }: ResolvConf): Omit<SystemUpstreams, 'refresh'> {
  return { upstreams: servers.map(udpUpstream), attempts, attemptTimeoutMs, ignored }
}
