/** The one module of workerd that is imported here. Who compiles with Cloudflare's ambient types has it from them. */
declare module 'cloudflare:sockets' {
  import type { Socket, SocketAddress, SocketOptions } from '@cloudflare/workers-types'

  export function connect(address: SocketAddress, options?: SocketOptions): Socket
}
