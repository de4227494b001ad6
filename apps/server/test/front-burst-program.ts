/** An entrance for pipes with room for ten. On demand it blocks its event loop for a moment. */
import process from 'node:process'
import { listenForPipes } from '../src/serve/pipe.ts'

const listener = await listenForPipes(
  { accept() {} },
  {
    guard: {
      admit() {
        throw new Error('nobody comes so far')
      },
    },
    host: '127.0.0.1',
    port: 0,
    pathname: '/pipe',
    handshakeTimeoutMs: 20_000,
    maxHandshakes: 10,
    error() {},
    refused() {},
  },
)
process.stdin.once('data', () => {
  process.stdout.write('away\n')
  setTimeout(() => {
    const backAt = Date.now() + 500
    while (Date.now() < backAt);
  }, 20)
})
process.stdout.write(`${listener.address.port}\n`)
