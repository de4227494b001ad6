/** S3 over TLS, to a server with a certificate of an authority of its own. */
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { selfSigned } from '@postern/runtime/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mustRun } from '../../../test/kit/tool.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { expectCode } from './blob-contract.ts'
import { put } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { startR2 } from './servers/r2-s3.ts'
import type { S3Server } from './servers/server.ts'
import { storeIn } from './servers/store.ts'

const PROGRAM = join(import.meta.dirname, 's3-tls-program.ts')
const directory = temporaryDirectory()
const authority = join(directory, 'authority.pem')
let server: S3Server
let front: Server
let connections = 0

beforeAll(async () => {
  server = await startR2()
  const { key, cert } = await selfSigned({ hosts: ['localhost', '127.0.0.1'] })
  writeFileSync(authority, cert)
  const { port } = new URL(server.endpoint)
  front = createServer({ key, cert }, (near) => {
    const far = connect(Number(port), '127.0.0.1')
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) socket.on('error', () => near.destroy() && far.destroy())
  })
  front.on('connection', () => connections++)
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  front?.close()
  await server?.[Symbol.asyncDispose]()
})

function endpoint(): string {
  const { port } = front.address() as AddressInfo
  return server.endpoint.replace(/^http:\/\/[^/]+/, `https://localhost:${port}`)
}

const TRUSTING: Readonly<Record<keyof typeof COMMANDS, readonly string[]>> = {
  node: [],
  bun: [],
  deno: ['--cert', authority],
}

test.each(['node', 'deno', 'bun'] as const)(
  '%s trusts an authority that it was given',
  { timeout: 60_000 },
  async (runtime) => {
    const [program, ...args] = [...COMMANDS[runtime], ...TRUSTING[runtime], PROGRAM]
    const { region, credentials } = server
    const options = { bucket: await server.bucket(), endpoint: endpoint(), region, credentials }
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority }
    const { stdout } = await mustRun(program as string, [...args, JSON.stringify(options)], { env })
    expect(stdout.toString()).toBe('a/b\n')
  },
)

test('without the authority, the error names the certificate, and the request is not tried again', async () => {
  connections = 0
  const store = storeIn(server, await server.bucket(), { endpoint: endpoint() })
  const error = await expectCode('unavailable', () => put(store, 'a'))
  expect(error.message).toMatch(/self-signed certificate/)
  expect(connections).toBe(1)
})
