/** A way to a server on which the server's bytes arrive late, as on a long line. */
import { createServer, connect, type AddressInfo } from 'node:net'

export interface Delay extends AsyncDisposable {
  readonly port: number
}

/** Listens for clients, and holds what the server at `port` sends for this time. */
export async function delayed(port: number, delayMs: number): Promise<Delay> {
  const proxy = createServer({ noDelay: true }, (client) => {
    const server = connect({ port, host: '127.0.0.1', noDelay: true })
    const end = (): void => {
      client.destroy()
      server.destroy()
    }
    client.on('error', end)
    server.on('error', end)
    client.pipe(server)
    server.on('data', (bytes) => setTimeout(() => client.writable && client.write(bytes), delayMs))
    server.on('end', () => setTimeout(() => client.end(), delayMs))
    client.on('close', () => server.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    port: (proxy.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      proxy.close()
    },
  }
}
