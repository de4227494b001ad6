/** What Postern is told on every runtime. All its checks are on, as they are by default. */
import type { ServerOptions } from '@postern/engine'

const MiB = 1024 * 1024

export const OPTIONS: Omit<ServerOptions, 'data'> = {
  hostname: 'mx.example.com',
  // All connections come from one address here.
  limits: { maxMessageBytes: 100 * MiB, maxConnections: 100_000, maxConnectionsPerAddress: 100_000 },
  auth: { mechanisms: ['PLAIN'], authenticate: () => ({ user: 'someone' }) },
  error: (error) => console.error(error),
}
