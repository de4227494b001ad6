/** `@postern/dns/sockets`: servers over UDP and TCP, for Node, Deno and Bun, and those of this machine. */
export type { ServerAddress } from './datagram.ts'
export type { ResolvConf } from './resolv-conf.ts'
export { parseResolvConf } from './resolv-conf.ts'
export { udpUpstream } from './server.ts'
export type { SystemUpstreams } from './system.ts'
export { systemUpstreams } from './system.ts'
