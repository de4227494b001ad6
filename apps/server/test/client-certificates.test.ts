/** Client certificates on each runtime: asked for or required, verified by `--tls-ca`, and the login of an account by EXTERNAL. */
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { selfSigned, type SelfSignedCertificate } from '@postern/runtime/tls'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type Postern, serve } from '../../../test/kit/postern.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const known = await selfSigned({ hosts: ['ann.example'] })
const listed = await selfSigned({ hosts: ['bob.example'] })
const guest = await selfSigned({ hosts: ['guest.example'] })

const fingerprintOf = ({ cert }: SelfSignedCertificate): string =>
  new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()

function start(name: (typeof RUNTIME_NAMES)[number], policy: 'request' | 'require'): Promise<Postern> {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'ca.pem'), known.cert + guest.cert)
  const accounts = [
    { address: 'ann@example.com', certificates: [fingerprintOf(known)] },
    { address: 'bob@example.com', certificates: [fingerprintOf(listed)] },
  ]
  writeFileSync(join(cwd, 'accounts.json'), JSON.stringify({ domains: ['example.com'], accounts }))
  const flags = ['--self-signed', '--tls-ca', 'ca.pem', '--client-certificates', policy, '--store', 'memory:']
  return serve(['--listen', 'submissions://127.0.0.1:0', ...flags], { cwd, command: RUNTIMES[name] })
}

/** Connects with a certificate, or without one. */
function connect(port: number, pair?: SelfSignedCertificate): Promise<SocketClient> {
  const own = pair === undefined ? {} : { key: pair.key, cert: pair.cert }
  return SocketClient.ready(port, { tls: { rejectUnauthorized: false, ...own } })
}

/** Returns the code of the reply to AUTH EXTERNAL with an empty authorization identity. */
async function login(port: number, pair?: SelfSignedCertificate): Promise<number> {
  const client = await connect(port, pair)
  const { code } = await client.command('AUTH EXTERNAL =')
  await client.quit()
  return code
}

test.concurrent.each(RUNTIME_NAMES)(
  'on %s, an account logs in by EXTERNAL with its own certificate, if --tls-ca verifies it',
  async (name) => {
    const { port } = await start(name, 'request')
    expect(await login(port, known)).toBe(235)
    // An authority vouches for it, but no account has it.
    expect(await login(port, guest)).toBe(535)
    // The account has it, but no authority vouches for it: the client is not offered EXTERNAL.
    expect(await login(port, listed)).toBe(504)
    expect(await login(port)).toBe(504)
    const without = await connect(port)
    expect((await without.command('MAIL FROM:<ann@example.com>')).code).toBe(530)
    await without.quit()
    const sender = await connect(port, known)
    await sender.command('AUTH EXTERNAL =', 235)
    await sender.command('MAIL FROM:<ann@example.com>', 250)
    await sender.quit()
  },
)

test.concurrent.each(RUNTIME_NAMES)(
  'on %s, a client without a certificate that --tls-ca verifies cannot connect if one is required',
  async (name) => {
    const { port } = await start(name, 'require')
    await expect(connect(port)).rejects.toThrow()
    await expect(connect(port, listed)).rejects.toThrow()
    expect(await login(port, known)).toBe(235)
  },
)
