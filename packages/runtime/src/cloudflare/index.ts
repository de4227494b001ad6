/** @postern/runtime/cloudflare: the `connect` handler of a Worker, and dialling with `cloudflare:sockets`. */
export type { AcceptOptions, Acceptor, ConnectHandler } from './handler.ts'
export { accept, handler } from './handler.ts'
export type { SocketOptions } from './socket.ts'
