/** Prints how many bytes Deno holds for each handshake that failed, once garbage is collected. Needs `--expose-gc`. */
import process from 'node:process'
import { Duplex } from 'node:stream'
import { serverHandshake } from '../src/deno/handshake.ts'
import { selfSigned, TlsCredentials } from '../src/sockets/tls/index.ts'

const HANDSHAKES = 1_000
/** Bytes that begin like a ClientHello but are not one. */
const garbage = new Uint8Array(311).fill(7)
garbage.set([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3])
const credentials = new TlsCredentials(await selfSigned())
const { gc } = globalThis as unknown as { gc(): void }

async function fail(): Promise<void> {
  let isSent = false
  const stream = new Duplex({
    read() {
      if (!isSent) this.push(garbage)
      isSent = true
    },
    write: (_bytes, _encoding, done) => done(),
  })
  stream.on('error', () => {})
  const handshake = serverHandshake(stream, credentials.current)
  const outcome = await handshake.then(
    () => 'done',
    () => 'failed',
  )
  if (outcome === 'done') throw new Error('the handshake went well')
  stream.destroy()
}

async function heldBytes(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 100))
  gc()
  return process.memoryUsage().heapUsed
}

for (let n = 0; n < 100; n++) await fail()
const before = await heldBytes()
for (let n = 0; n < HANDSHAKES; n++) await fail()
console.log(Math.round(((await heldBytes()) - before) / HANDSHAKES))
process.exit(0)
