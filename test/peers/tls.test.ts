/** OpenSSL's own client, which shows TLS as it is on the wire: versions, certificate, STARTTLS. */
import { afterAll, beforeAll, expect } from 'vitest'
import { messageOf } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { textOf } from '../corpus/send.ts'
import { throughTls } from './openssl.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { keptFor, keptIds } from './store.ts'
import { OPENSSL } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { runTool } from '../kit/tool.ts'
import { partly } from '../kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const testWith = partly(everyWith)

let served: Served

beforeAll(async () => {
  if (OPENSSL.missing === undefined) served = await serveClients()
})
afterAll(() => served?.[Symbol.asyncDispose]())

const cases = [
  ['starttls', '-tls1_2', 'TLSv1.2'],
  ['starttls', '-tls1_3', 'TLSv1.3'],
  ['implicit', '-tls1_2', 'TLSv1.2'],
  ['implicit', '-tls1_3', 'TLSv1.3'],
] as const
for (const [security, flag, protocol] of cases) {
  testWith([OPENSSL], `s_client sends a message with ${security} and ${protocol}`, async () => {
    const isImplicit = security === 'implicit'
    const to = `${security}-${protocol.toLowerCase()}@postern.example`
    const { bytes } = messageOf(200_000)
    const port = isImplicit ? served.smtps : served.smtp
    const args = ['-connect', `localhost:${port}`, '-4', flag, '-servername', 'mx.postern.example']
    if (!isImplicit) args.push('-starttls', 'smtp', '-name', 'clear.example')
    const heard = await throughTls(served.caFile, args, [
      'EHLO tls.example\r\n',
      `MAIL FROM:<ann@sender.example>\r\n`,
      `RCPT TO:<${to}>\r\n`,
      'DATA\r\n',
      textOf(bytes),
      'QUIT\r\n',
    ])
    expect(heard).toMatch(/^354 /m)
    expect(heard).toMatch(/^250 2\.0\.0 .*queued/m)
    expect(heard).toMatch(/^221 /m)
    expect(heard).not.toContain('STARTTLS')
    const kept = await keptFor(served.store, to)
    expectKept(kept, { by: 'ESMTPS', to: [to], bytes, tls: new RegExp(`^${protocol}$`) })
    expect(kept.record.session.tls?.serverName).toBe('mx.postern.example')
    expect(kept.record.session.hello).toEqual({ verb: 'EHLO', name: 'tls.example' })
  })
}

testWith([OPENSSL], 'after STARTTLS commands in clear do not count, so MAIL before a new EHLO gets 503', async () => {
  const args = ['-connect', `127.0.0.1:${served.smtp}`, '-starttls', 'smtp']
  const heard = await throughTls(served.caFile, args, ['MAIL FROM:<ann@sender.example>\r\n', 'QUIT\r\n'])
  expect(heard).toMatch(/^503 5\.5\.1 /m)
})

testWith([OPENSSL], 'TLS 1.0 and 1.1 are refused', async () => {
  for (const version of ['-tls1', '-tls1_1']) {
    const flags = ['s_client', '-connect', `127.0.0.1:${served.smtps}`, version, '-cipher', 'ALL:@SECLEVEL=0']
    const { code } = await runTool('openssl', flags, { timeoutMs: 60_000 })
    expect(code).not.toBe(0)
  }
  using client = await SocketClient.ready(served.smtp)
  await client.quit()
})

testWith([OPENSSL], 'commands pipelined behind STARTTLS in clear are never run', async () => {
  const before = await keptIds(served.store)
  using client = await SocketClient.ready(served.smtp)
  await client.send('STARTTLS\r\nMAIL FROM:<mallory@sender.example>\r\nRCPT TO:<bob@postern.example>\r\nDATA\r\n')
  await client.expect(220)
  await client.ended()
  await expect(client.reply()).rejects.toThrow('over')
  expect(await keptIds(served.store)).toEqual(before)
})

testWith([OPENSSL], 'a client that breaks off its handshake does not affect other clients', async () => {
  for (const port of [served.smtp, served.smtps]) {
    using client = await SocketClient.connect(port)
    if (port === served.smtp) {
      await client.expect(220)
      await client.command('EHLO client.example', 250)
      await client.command('STARTTLS', 220)
    }
    await client.send(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]))
    client.reset()
  }
  for (const port of [served.smtp, served.smtps]) {
    using client = await SocketClient.connect(port)
    if (port === served.smtp) {
      await client.expect(220)
      await client.command('EHLO client.example', 250)
      await client.command('STARTTLS', 220)
    }
    await client.send('this is no TLS\r\n'.repeat(10)).catch(() => {})
    await client.ended()
  }
  using client = await SocketClient.ready(served.smtp)
  await client.quit()
  expect(served.server.isRunning).toBe(true)
})
