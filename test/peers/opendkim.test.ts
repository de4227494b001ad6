/** Mail that Postfix sends and opendkim signs, by RSA and by Ed25519, is verified on each runtime. With one octet changed it is not. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { KEYS, recordsOf } from '../../packages/mail/test/trust/signed.ts'
import { verifyingWorker } from '../../packages/worker/test/verifying.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { COMMANDS } from '../kit/commands.ts'
import { OPENDKIM_DAEMON, POSTFIX } from '../kit/abilities.ts'
import { startDnsServer } from '../kit/dns-server.ts'
import { testWith } from '../kit/need.ts'
import { txtScene } from '../kit/own-resolver.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { Scratch } from '../kit/scratch.ts'
import { eventually } from '../kit/waiting.ts'
import { OpenDkim } from './opendkim.ts'
import { Postfix } from './postfix.ts'

const DOMAIN = 'sender.example'
const RECORDS = {
  ...recordsOf(DOMAIN),
  [`_dmarc.${DOMAIN}`]: 'v=DMARC1; p=reject',
  [DOMAIN]: 'v=spf1 ip4:127.0.0.1 -all',
}
const MESSAGE = [
  `From: Ann <ann@${DOMAIN}>`,
  'To: Joe <joe@example.com>',
  'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= that are',
  '\tfolded',
  'Date: Tue, 01 Dec 2026 00:00:00 +0000',
  `Message-ID: <signed@${DOMAIN}>`,
  '',
  'Text  of the message ',
  '.dots',
  '',
].join('\n')
const RUNTIMES = ['node', 'deno', 'bun'] as const
const PASSED = {
  dkim: expect.arrayContaining([
    { result: 'pass', domain: DOMAIN, selector: 'r', algorithm: 'rsa-sha256' },
    { result: 'pass', domain: DOMAIN, selector: 'e', algorithm: 'ed25519-sha256' },
  ]) as unknown,
  dmarc: expect.objectContaining({ result: 'pass', aligned: expect.arrayContaining(['dkim']) as unknown }) as unknown,
  sender: { domain: DOMAIN, by: 'dmarc' },
}
const FAILED = {
  dkim: [
    expect.objectContaining({ result: 'fail', reason: 'body' }) as unknown,
    expect.objectContaining({ result: 'fail', reason: 'body' }) as unknown,
  ],
}

/** Reads what the store has: verdicts and bytes, the newest first. */
async function keptBy({ store }: MailServer): Promise<{ verdicts: object; text: string }[]> {
  const mail = mailStore(fs(store))
  const { records } = await mail.list()
  return Promise.all(
    records.map(async ({ id, verdicts }) => ({
      verdicts,
      text: Buffer.from(await (await mail.load(id)).bytes()).toString('latin1'),
    })),
  )
}

testWith(
  [OPENDKIM_DAEMON, POSTFIX],
  'mail that opendkim signs for Postfix passes on four runtimes, and fails with an octet changed',
  async () => {
    await using scratch = await Scratch.make()
    await using dns = await startDnsServer(({ key, name, type }) => txtScene(RECORDS, key, name, type))
    await using worker = await verifyingWorker(RECORDS)
    const flags = ['--verify', 'tag', '--resolver', `udp://127.0.0.1:${dns.port}`]
    const servers = await Promise.all(
      RUNTIMES.map((runtime) => serveMail({ store: join(scratch.path, runtime), flags, command: COMMANDS[runtime] })),
    )
    const key = { domain: DOMAIN, algorithm: 'rsa-sha256', selector: 'r', pem: KEYS.r.pem } as const
    await using rsa = await OpenDkim.start(scratch, key)
    await using ed25519 = await OpenDkim.start(scratch, {
      ...key,
      algorithm: 'ed25519-sha256',
      selector: 'e',
      pem: KEYS.e.pem,
    })
    const routes = servers.map(({ port }, at) => `{${RUNTIMES[at]}.example = smtp:[127.0.0.1]:${port}}`)
    const settings = {
      transport_maps: `inline:{${routes.join(', ')}}`,
      smtp_tls_security_level: 'none',
      non_smtpd_milters: `${rsa.milter}, ${ed25519.milter}`,
      milter_default_action: 'tempfail',
    }
    await using postfix = await Postfix.start(scratch, { relayPort: servers[0]?.port ?? 0, caFile: '', settings })
    for (const runtime of RUNTIMES) await postfix.sendmail(`ann@${DOMAIN}`, [`joe@${runtime}.example`], MESSAGE)

    for (const [at, server] of servers.entries()) {
      const runtime = RUNTIMES[at]
      await eventually(
        async () => (await keptBy(server)).length === 1,
        `the message is in the store of ${runtime}`,
        45_000,
      )
      const [kept] = await keptBy(server)
      expect([runtime, kept?.verdicts]).toEqual([
        runtime,
        expect.objectContaining({
          ...PASSED,
          spf: expect.objectContaining({ result: 'pass', domain: DOMAIN }) as unknown,
        }),
      ])
      // What Postern put on top is no part of what Postfix sent.
      const signed = (kept?.text ?? '').replace(/^[\s\S]*?(?=DKIM-Signature:)/, '')
      expect(signed.match(/^DKIM-Signature:/gm)).toHaveLength(2)
      const client = await SocketClient.ready(server.port)
      await client.command(`MAIL FROM:<ann@${DOMAIN}>`, 250)
      await client.command('RCPT TO:<joe@example.com>', 250)
      await client.command('DATA', 354)
      await client.command(`${signed.replace('Text', 'text').replaceAll('\r\n.', '\r\n..')}.`, 250)
      await client.quit()
      const [changed] = await keptBy(server)
      expect([runtime, changed?.verdicts]).toEqual([runtime, expect.objectContaining(FAILED)])
      if (at > 0) continue
      expect(await worker.take(signed)).toMatchObject({ verdicts: [PASSED] })
      expect(await worker.take(signed.replace('Text', 'text'))).toMatchObject({
        refusal: expect.stringMatching(/^5\.7\.26 /) as unknown,
      })
    }
  },
)
