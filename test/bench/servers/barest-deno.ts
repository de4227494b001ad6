/** The barest server on `Deno.listen`, pulling from each connection. */
import { findByHand, GREETING, Machine } from './barest.ts'
import { tellAllocated } from './allocated.ts'
import { announce, readServerOptions } from './options.ts'

interface Connection {
  read(into: Uint8Array): Promise<number | null>
  write(bytes: Uint8Array): Promise<number>
  setNoDelay(noDelay: boolean): void
  close(): void
}

interface DenoApi {
  listen(options: { hostname: string; port: number; tcpBacklog: number }): {
    readonly addr: { readonly port: number }
    accept(): Promise<Connection>
  }
}

const { Deno } = globalThis as unknown as { readonly Deno: DenoApi }
const READ_BYTES = 65_536

async function serve(connection: Connection): Promise<void> {
  const machine = new Machine(findByHand)
  const into = new Uint8Array(READ_BYTES)
  try {
    connection.setNoDelay(true)
    await connection.write(GREETING)
    for (let isOver = false; !isOver;) {
      const count = await connection.read(into)
      if (count === null) break
      const { bytes, isLast } = machine.take(into.subarray(0, count))
      // Replies are short: they fit into what the system takes at once.
      if (bytes !== undefined) await connection.write(bytes)
      isOver = isLast
    }
  } catch {
    // The peer reset the connection.
  } finally {
    connection.close()
  }
}

const listener = Deno.listen({ hostname: '127.0.0.1', port: 0, tcpBacklog: 4096 })
if (readServerOptions().allocation) await tellAllocated()
announce({ port: listener.addr.port })
for (;;) void serve(await listener.accept())
