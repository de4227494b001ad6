/** A restart does not forget the policies of MTA-STS. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { selfSigned } from '@postern/runtime/tls'
import { expect, onTestFinished, test } from 'vitest'
import { startFarServer } from '../../../packages/relay/test/remote/far-server.ts'
import { startZone, type Zone } from '../../../packages/relay/test/route/zone.ts'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { type MailServer, postern, serveMail } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const PASSWORD = 'tiger'
const ADDRESS = '127.0.0.2'
const HOST = 'mx.far.example'
const POLICY_HOST = 'mta-sts.far.example'
const POLICY = `version: STSv1\nmode: enforce\nmx: ${HOST}\nmax_age: 86400\n`
const ROUTE: Zone = { 'far.example': { MX: [[10, HOST]] }, [HOST]: { A: [ADDRESS] } }
const PROMISE: Zone = { '_mta-sts.far.example': { TXT: ['v=STSv1; id=1'] }, [POLICY_HOST]: { A: ['127.0.0.1'] } }

async function submit(server: MailServer): Promise<void> {
  const client = await SocketClient.ready(server.port)
  await client.command(`AUTH PLAIN ${Buffer.from(`\0ann@near.example\0${PASSWORD}`).toString('base64')}`, 235)
  await client.command('MAIL FROM:<ann@near.example>', 250)
  await client.command('RCPT TO:<bob@far.example>', 250)
  await client.command('DATA', 354)
  await client.command('From: ann@near.example\r\n\r\nhello\r\n.', 250)
  await client.quit()
}

test.each(sample(RUNTIME_NAMES, 1))(
  'mail waits after a restart on %s if the certificate is wrong, although the record of the policy is suppressed',
  async (runtime) => {
    const { key, cert } = await selfSigned({ hosts: [POLICY_HOST] })
    const policyServer = createServer({ key, cert }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(POLICY)
    })
    await new Promise<void>((listening) => policyServer.listen(0, '127.0.0.1', listening))
    onTestFinished(() => {
      policyServer.closeAllConnections()
      policyServer.close()
    })
    await using far = await startFarServer({ [ADDRESS]: { tls: await selfSigned({ hosts: [HOST] }) } })
    await using zone = await startZone({ ...ROUTE, ...PROMISE })
    const cwd = temporaryDirectory()
    await postern(['domain', 'add', 'near.example'], { cwd })
    await postern(['user', 'add', 'ann@near.example'], { cwd, input: `${PASSWORD}\n` })
    mkdirSync(join(cwd, 'mail'))
    writeFileSync(join(cwd, 'ca.pem'), cert)
    const flags = [
      ['--relay', 'mx'],
      ['--relay-mx-port', String(far.port)],
      ['--relay-sts-port', String((policyServer.address() as AddressInfo).port)],
      ['--relay-ca', 'ca.pem'],
      ['--resolver', `udp://127.0.0.1:${zone.port}`],
      ['--auth-without-tls'],
    ].flat()
    for (const records of [{ ...ROUTE, ...PROMISE }, ROUTE]) {
      zone.zone = records
      const server = await serveMail({ store: join(cwd, 'mail'), flags, cwd, command: RUNTIMES[runtime] })
      await submit(server)
      await server.says(/"message":"message waits for another attempt".*4\.7\.10/)
      expect(await server.end('SIGTERM')).toBe(0)
    }
    expect(far.taken).toEqual([])
    expect(far.connections.every((commands) => commands.every((line) => /^(?:EHLO|STARTTLS|TLS)/.test(line)))).toBe(
      true,
    )
  },
)
