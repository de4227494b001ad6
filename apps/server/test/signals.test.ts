/** Signals at every moment: before the program serves, at the first greeting, and while it serves. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { writeCertificate } from '../../../test/kit/certificate.ts'
import { freePort } from '../../../test/kit/port.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { Postern } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'
import { sample } from '../../../test/kit/sample.ts'

/** Starts three programs with three threads each, on two cores that are also busy with other work. */
const TIMEOUT_MS = 120_000

/** The programs that serve, each in its own way. */
const WAYS = {
  'one worker': ['serve', '--store', 'memory:'],
  'three workers': ['serve', '--store', 'fs:./mail', '--workers', '3'],
  'a front': ['front', '--to', 'ws://127.0.0.1:9/pipe', '--front-secret', 'x'.repeat(32)],
} as const
const ROWS = RUNTIME_NAMES.flatMap((runtime) =>
  Object.keys(WAYS).map((way) => [runtime, way as keyof typeof WAYS] as const),
)
const SERVING = ROWS.filter(([, way]) => way !== 'a front')
/** Moments of the start, in milliseconds. */
const MOMENTS = [0, 60, 120, 180, 240, 300, 400, 600]

/** Starts the program without waiting. */
function start(runtime: keyof typeof RUNTIMES, args: readonly string[], cwd?: string): Postern {
  return new Postern(args, { command: RUNTIMES[runtime], ...(cwd === undefined ? {} : { cwd }) })
}

/** Tries to connect until a server sends a greeting. */
async function firstGreeted(port: number): Promise<SocketClient> {
  for (;;) {
    const client = await SocketClient.greeted(port).catch(() => undefined)
    if (client !== undefined) return client
    await sleep(1)
  }
}

test.concurrent.each(sample(SERVING, 1, 1))(
  'on %s, SIGTERM at the very first greeting stops %s gracefully',
  { timeout: TIMEOUT_MS },
  async (runtime, way) => {
    for (let round = 0; round < 2; round++) {
      const port = await freePort()
      const program = start(runtime, [...WAYS[way], '--listen', `smtp://127.0.0.1:${port}`])
      const client = await firstGreeted(port)
      program.signal('SIGTERM')
      expect((await client.reply()).text).toMatch(/^421 4\.3\.2 /)
      expect(await program.ended).toBe(0)
    }
  },
)

test.concurrent.each(sample(ROWS, 2, 2))(
  'on %s, SIGTERM and SIGINT at any moment of its start end %s',
  { timeout: TIMEOUT_MS },
  async (runtime, way) => {
    for (const [i, delayMs] of sample(
      MOMENTS,
      3,
      ROWS.findIndex((row) => row[0] === runtime && row[1] === way),
    ).entries()) {
      const program = start(runtime, [...WAYS[way], '--listen', 'smtp://127.0.0.1:0'])
      const name = i % 2 === 0 ? 'SIGTERM' : 'SIGINT'
      await sleep(delayMs)
      program.signal(name)
      // Before the runtime runs our code, a signal has the system's default effect.
      expect(await program.ended, program.output).toBeOneOf([0, name])
    }
  },
)

test.concurrent.each(sample(RUNTIME_NAMES, 1, 4))(
  'on %s, SIGTERM ends a start that waits for its store',
  async (runtime) => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as { port: number }
    const cwd = temporaryDirectory()
    const store = `s3://bucket?endpoint=http://127.0.0.1:${port}`
    writeFileSync(
      join(cwd, 'postern.config.mjs'),
      `export default { store: ${JSON.stringify(store)}, s3Credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }`,
    )
    const asked = once(silent, 'connection')
    const program = start(runtime, ['serve', '--listen', 'smtp://127.0.0.1:0'], cwd)
    const [socket] = (await asked) as [Socket]
    program.signal('SIGTERM')
    expect(await program.ended).toBe(0)
    socket.destroy()
    silent.close()
  },
)

test.concurrent.each(sample(ROWS, 2, 3))(
  'on %s, SIGHUP leaves %s running if there are no certificate files, and the log says so',
  { timeout: TIMEOUT_MS },
  async (runtime, way) => {
    for (const flags of sample([[], ['--self-signed']], 1, runtime.length)) {
      const program = start(runtime, [...WAYS[way], '--listen', 'smtp://127.0.0.1:0', ...flags])
      await program.says(/Stop with Ctrl-C/)
      program.signal('SIGHUP')
      await program.says(/"INFO","message":"SIGHUP: there are no certificate files to read again"/)
      program.signal('SIGTERM')
      expect(await program.ended).toBe(0)
    }
  },
)

test.concurrent.each(sample(RUNTIME_NAMES, 1, 5))(
  'on %s, SIGHUP during the start takes effect after it',
  async (runtime) => {
    const cwd = temporaryDirectory()
    await writeCertificate(join(cwd, 'key.pem'), join(cwd, 'cert.pem'))
    // While the config file loads, nothing listens yet.
    writeFileSync(
      join(cwd, 'postern.config.mjs'),
      `process.kill(process.pid, 'SIGHUP')
     await new Promise((done) => setTimeout(done, 200))
     export default { tlsKey: 'key.pem', tlsCert: 'cert.pem', store: 'memory:' }`,
    )
    const program = start(runtime, ['serve', '--listen', 'smtp://127.0.0.1:0'], cwd)
    await program.says(/"certificates read again"/)
    program.signal('SIGTERM')
    expect(await program.ended).toBe(0)
  },
)
