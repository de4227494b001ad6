/** The barest server as a Worker, pulling from each connection. */
import type { Socket } from '@cloudflare/workers-types'
import { findByHand, GREETING, Machine } from '../barest.ts'

const READ_BYTES = 65_536

export default {
  async connect(socket: Socket): Promise<void> {
    const machine = new Machine(findByHand)
    const reader = socket.readable.getReader({ mode: 'byob' })
    let into = new Uint8Array(READ_BYTES)
    const writer = socket.writable.getWriter()
    try {
      await writer.write(GREETING)
      for (let isOver = false; !isOver;) {
        const { done, value } = await reader.read(into)
        if (done) break
        const { bytes, isLast } = machine.take(value)
        into = new Uint8Array(value.buffer)
        if (bytes !== undefined) await writer.write(bytes)
        isOver = isLast
      }
    } catch {
      // The peer reset the connection.
    } finally {
      await socket.close()
    }
  },
}
