/** The only module of workerd that is imported here. Cloudflare's ambient types declare it too. */
declare module 'cloudflare:sockets' {
  import type { Socket, SocketAddress, SocketOptions } from '@cloudflare/workers-types'

  export function connect(address: SocketAddress, options?: SocketOptions): Socket
}
