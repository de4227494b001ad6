/** openssl as a client: it sends its ClientHello as soon as it sees our reply, and checks certificates by its own rules. */
import type { Duplex } from '@postern/engine'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { listen } from '../src/node/index.ts'
import { ascii, certificate } from './harness.ts'

const directory = await mkdtemp(join(tmpdir(), 'postern-runtime-'))
const caFile = join(directory, 'ca.pem')
await writeFile(caFile, certificate.cert)
afterAll(() => rm(directory, { recursive: true }))

const REPLIES: Readonly<Record<string, string>> = {
  EHLO: '250-localhost\r\n250 STARTTLS\r\n',
  STARTTLS: '220 go ahead\r\n',
  NOOP: '250 still here\r\n',
  QUIT: '221 bye\r\n',
}

/** As much of SMTP as openssl speaks. */
async function converse(duplex: Duplex): Promise<void> {
  try {
    await duplex.write(ascii('220 localhost\r\n'))
    for (let bytes = await duplex.read(); bytes !== null; bytes = await duplex.read()) {
      const verb = new TextDecoder().decode(bytes).trim().split(' ')[0]?.toUpperCase() ?? ''
      const waiting = duplex.write(ascii(REPLIES[verb] ?? '500 what\r\n'))
      if (verb === 'STARTTLS') await duplex.startTls?.()
      else await waiting
      if (verb === 'QUIT') break
    }
    await duplex.end()
  } catch {
    duplex.destroy()
  }
}

async function client(port: number, flags: string[]): Promise<string> {
  const fixed = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', caFile]
  const child = spawn('openssl', [...fixed, '-verify_return_error', '-crlf', '-ign_eof', ...flags])
  onTestFinished(() => {
    child.kill()
  })
  child.stdin.write('NOOP\n')
  let output = ''
  child.stderr.on('data', (bytes) => (output += bytes))
  for await (const bytes of child.stdout) {
    output += bytes
    if (output.includes('250 still here') && child.stdin.writable) child.stdin.end('QUIT\n')
  }
  return output
}

const versions = ['tls1_2', 'tls1_3']

test.each(versions)('STARTTLS, %s', async (version) => {
  const listener = await listen({ accept: converse }, { port: 0, host: '127.0.0.1', tls: certificate })
  onTestFinished(() => listener.close())
  // Its ClientHello follows our 220 at once: one that was lost would hang here.
  for (let again = 0; again < 5; again++) {
    const output = await client(listener.address.port, ['-starttls', 'smtp', `-${version}`])
    expect(output).toContain('Verification: OK')
    expect(output).toContain('221 bye')
  }
})

test.each(versions)('implicit TLS, %s', async (version) => {
  const options = { port: 0, host: '127.0.0.1', tls: certificate, implicitTls: true }
  const listener = await listen({ accept: converse }, options)
  onTestFinished(() => listener.close())
  const output = await client(listener.address.port, [`-${version}`])
  expect(output).toContain('Verification: OK')
  expect(output).toContain('221 bye')
})
