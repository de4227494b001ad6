/** @postern/runtime/cloudflare: the `connect` handler of a Worker, and dialling with `cloudflare:sockets`. */
export type { ConnectOptions } from './connect.ts'
export { connect } from './connect.ts'
export type { DialOptions, DialTlsOptions } from './dial.ts'
export { dial } from './dial.ts'
export type { AcceptOptions, Acceptor, ConnectHandler } from './handler.ts'
export { accept, handler } from './handler.ts'
export type { SocketOptions } from './duplex.ts'
export { NOT_TOLD, openDuplex, peerOf } from './duplex.ts'
