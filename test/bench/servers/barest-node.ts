/** The barest server on Node's sockets, with callbacks. */
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { tellAllocated } from './allocated.ts'
import { findWithBuffer, GREETING, Machine } from './barest.ts'
import { announce, readServerOptions } from './options.ts'

const { keyFile, certFile, allocation } = readServerOptions()
const secureContext =
  keyFile === undefined || certFile === undefined
    ? undefined
    : createSecureContext({ key: readFileSync(keyFile), cert: readFileSync(certFile) })

function serve(socket: Socket): void {
  const machine = new Machine(findWithBuffer)
  const take = (received: Uint8Array): void => {
    const { bytes, isLast, startsTls } = machine.take(received)
    if (bytes === undefined) return
    if (isLast) socket.end(bytes)
    else socket.write(bytes)
    if (!startsTls || secureContext === undefined) return
    socket.removeAllListeners('data')
    new TLSSocket(socket, { isServer: true, secureContext }).on('data', function (this: TLSSocket, clear: Buffer) {
      const { bytes, isLast } = machine.take(clear)
      if (bytes === undefined) return
      if (isLast) this.end(bytes)
      else this.write(bytes)
    })
  }
  socket.on('data', take)
  socket.on('error', () => socket.destroy())
  socket.write(GREETING)
}

if (allocation) await tellAllocated()
const listener = createServer({ noDelay: true }, serve)
listener.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  announce({ port: (listener.address() as AddressInfo).port }),
)
