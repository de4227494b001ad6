/** Dials a server from inside a runtime, and prints the SHA-256 of each certificate that it showed. The argument is the port. */
import { createHash } from 'node:crypto'
import process from 'node:process'

const { Deno, Bun } = globalThis as { readonly Deno?: unknown; readonly Bun?: unknown }
const runtime = Deno === undefined ? (Bun === undefined ? 'node' : 'bun') : 'deno'
const { dial } = (await import(`../src/${runtime}/index.ts`)) as typeof import('../src/node/index.ts')
const duplex = await dial({ host: '127.0.0.1', port: Number(process.argv[2]), tls: { rejectUnauthorized: false } })
console.log(duplex.peerCertificates === undefined)
await duplex.startTls?.()
const digests = [1, 2].map(() =>
  duplex.peerCertificates?.().map((der) => createHash('sha256').update(der).digest('hex')),
)
console.log(JSON.stringify(digests))
duplex.destroy()
process.exit()
