/** The servers that this machine is set up to ask. */
import { readFile } from 'node:fs/promises'
import type { Upstream } from '../upstream.ts'
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts'
import { udpUpstream } from './server.ts'

/** Options of a resolver. */
export interface SystemUpstreams extends Pick<ResolvConf, 'attempts' | 'attemptTimeoutMs' | 'ignored'> {
  readonly upstreams: readonly Upstream[]
}

/** Reads resolv.conf, once: a later change of the file changes nothing. @throws if it cannot be read */
export async function systemUpstreams(file: string = '/etc/resolv.conf'): Promise<SystemUpstreams> {
  const { servers, ...options } = parseResolvConf(await readFile(file, 'utf8'))
  return { upstreams: servers.map(udpUpstream), ...options }
}
