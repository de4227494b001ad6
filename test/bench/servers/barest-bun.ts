/** The barest server on `Bun.listen`. */
import { bun, type BunSocket } from '../bun.ts'
import { findWithBuffer, GREETING, Machine } from './barest.ts'
import { tellAllocated } from './allocated.ts'
import { announce, readServerOptions } from './options.ts'

const listener = bun.listen<Machine>({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    open(socket: BunSocket<Machine>) {
      socket.data = new Machine(findWithBuffer)
      socket.write(GREETING)
    },
    data(socket, received) {
      const { bytes, isLast } = socket.data.take(received)
      if (bytes === undefined) return
      // Replies are short: they fit into what the system takes at once.
      if (isLast) socket.end(bytes)
      else socket.write(bytes)
    },
    error(socket) {
      socket.end()
    },
  },
})
if (readServerOptions().allocation) await tellAllocated()
announce({ port: listener.port })
