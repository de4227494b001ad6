/** Mail that dkimpy signs and Postfix relays is verified, on each runtime. With one octet changed on its way it is not. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { KEYS } from '../../packages/mail/test/trust/signed.ts'
import { COMMANDS } from '../kit/commands.ts'
import { DEBIAN_PYTHON, DKIMPY, POSTFIX } from '../kit/abilities.ts'
import { startDnsServer } from '../kit/dns-server.ts'
import { testWith } from '../kit/need.ts'
import { txtScene } from '../kit/own-resolver.ts'
import { serveMail } from '../kit/postern.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun } from '../kit/tool.ts'
import { eventually } from '../kit/waiting.ts'
import { Postfix } from './postfix.ts'

const RECORDS = {
  'r._domainkey.sender.example': KEYS.r.record,
  '_dmarc.sender.example': 'v=DMARC1; p=reject',
  'sender.example': 'v=spf1 -all',
}
const SIGN = `
import dkim, sys
message = sys.stdin.buffer.read()
key = sys.argv[1].encode()
sys.stdout.buffer.write(dkim.sign(message, b"r", b"sender.example", key, canonicalize=(b"relaxed", b"simple")) + message)`
const MESSAGE = [
  'From: Ann <ann@sender.example>',
  'To: Joe <joe@example.com>',
  'Subject: signed and',
  '\trelayed',
  'Date: Tue, 01 Dec 2026 00:00:00 +0000',
  'Message-ID: <signed@sender.example>',
  '',
  'Text  of the message ',
  '',
  '.dots',
  '',
].join('\r\n')
const RUNTIMES = ['node', 'deno', 'bun'] as const

testWith(
  [DKIMPY, POSTFIX],
  'mail that dkimpy signs and Postfix relays passes, and not with an octet changed',
  async () => {
    await using scratch = await Scratch.make()
    await using dns = await startDnsServer(({ key, name, type }) => txtScene(RECORDS, key, name, type))
    const flags = ['--verify', 'tag', '--resolver', `udp://127.0.0.1:${dns.port}`]
    const servers = await Promise.all(
      RUNTIMES.map((runtime) => serveMail({ store: join(scratch.path, runtime), flags, command: COMMANDS[runtime] })),
    )
    const routes = servers.map(({ port }, at) => `{${RUNTIMES[at]}.example = smtp:[127.0.0.1]:${port}}`)
    const settings = { transport_maps: `inline:{${routes.join(', ')}}`, smtp_tls_security_level: 'none' }
    const options = { relayPort: servers[0]?.port ?? 0, caFile: '', settings }
    await using postfix = await Postfix.start(scratch, options)

    const { stdout } = await mustRun(DEBIAN_PYTHON, ['-c', SIGN, KEYS.r.pem], { input: MESSAGE })
    const signed = stdout.toString('latin1')
    for (const runtime of RUNTIMES) {
      for (const message of [signed, signed.replace('Text', 'text')]) {
        await postfix.sendmail('ann@sender.example', [`joe@${runtime}.example`], message.replaceAll('\r\n', '\n'))
      }
    }
    for (const runtime of RUNTIMES) {
      const store = mailStore(fs(join(scratch.path, runtime)))
      const found = async (): Promise<unknown[]> => (await store.list()).records.map(({ verdicts }) => verdicts)
      await eventually(async () => (await found()).length === 2, `both messages are in the store of ${runtime}`, 45_000)
      const verdicts = await found()
      expect([runtime, verdicts]).toEqual([
        runtime,
        expect.arrayContaining([
          expect.objectContaining({
            spf: expect.objectContaining({ result: 'fail' }),
            dkim: [{ result: 'pass', domain: 'sender.example', selector: 'r', algorithm: 'rsa-sha256' }],
            dmarc: expect.objectContaining({ result: 'pass', aligned: ['dkim'] }),
            sender: { domain: 'sender.example', by: 'dmarc' },
          }),
          expect.objectContaining({
            dkim: [expect.objectContaining({ result: 'fail', reason: 'body' })],
            dmarc: expect.objectContaining({ result: 'fail', policy: 'reject' }),
          }),
        ]),
      ])
    }
  },
)
