/** openssl as a client. It sends its ClientHello as soon as it gets the reply, and checks certificates by its own rules. */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { OPENSSL } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { PLACES } from './places.ts'
import { certificate } from './harness.ts'

const directory = temporaryDirectory()
const caFile = join(directory, 'ca.pem')
await writeFile(caFile, certificate.cert)

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

function testEach(name: string, body: (version: string) => Promise<void>): void {
  for (const version of ['tls1_2', 'tls1_3']) testWith([OPENSSL], `${name}, ${version}`, () => body(version), 120_000)
}

describe.each(PLACES)('%s', (_, place) => {
  testEach('STARTTLS', async (version) => {
    const listener = await place.converse({ port: 0, host: '127.0.0.1', tls: certificate })
    onTestFinished(() => listener.close())
    // openssl sends its ClientHello right after the 220. If it were lost, the test would hang here.
    for (let again = 0; again < 5; again++) {
      const output = await client(listener.address.port, ['-starttls', 'smtp', `-${version}`])
      expect(output).toContain('Verification: OK')
      expect(output).toContain('221 bye')
    }
  })

  testEach('implicit TLS', async (version) => {
    const options = { port: 0, host: '127.0.0.1', tls: certificate, implicitTls: true }
    const listener = await place.converse(options)
    onTestFinished(() => listener.close())
    const output = await client(listener.address.port, [`-${version}`])
    expect(output).toContain('Verification: OK')
    expect(output).toContain('221 bye')
  })
})
