/** Our client against the servers of others: Debian's Postfix, Exim, OpenSMTPD, Dovecot's LMTP and aiosmtpd. */
import type { ClientOptions } from '@postern/engine/client'
import { connect } from '@postern/runtime/node'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { AIOSMTPD, DOVECOT_LMTP, EXIM, OPENSMTPD, OPENSSL, POSTFIX } from '../kit/abilities.ts'
import { missingOf, testWith } from '../kit/need.ts'
import { Scratch } from '../kit/scratch.ts'
import { difference } from './store.ts'
import { startAiosmtpd } from './receivers/aiosmtpd.ts'
import { DovecotReceiver } from './receivers/dovecot.ts'
import { startExim } from './receivers/exim.ts'
import { startOpensmtpd } from './receivers/opensmtpd.ts'
import { startPostfix } from './receivers/postfix.ts'
import { type Files, makeFiles, NOBODY, PASSWORD, type Receiver, TOKEN, USER } from './receivers/receiver.ts'

interface Peer {
  readonly name: string
  readonly needs: Parameters<typeof testWith>[0]
  /** Mechanisms by which the user logs in under TLS. Missing if there is no TLS. */
  readonly mechanisms?: readonly string[]
  /** Whether a message goes in chunks. */
  readonly hasChunks: boolean
  start(scratch: Scratch, files: Files): Promise<Receiver>
}

const PEERS: readonly Peer[] = [
  {
    name: 'postfix',
    needs: [POSTFIX, DOVECOT_LMTP],
    mechanisms: ['SCRAM-SHA-256', 'OAUTHBEARER', 'XOAUTH2', 'CRAM-MD5', 'PLAIN', 'LOGIN'],
    hasChunks: true,
    async start(scratch, files) {
      const dovecot = await DovecotReceiver.start(scratch, files)
      const postfix = await startPostfix(scratch, files, dovecot)
      return {
        ...postfix,
        async [Symbol.asyncDispose]() {
          await postfix[Symbol.asyncDispose]()
          await dovecot[Symbol.asyncDispose]()
        },
      }
    },
  },
  { name: 'exim', needs: [EXIM], mechanisms: ['CRAM-MD5', 'PLAIN', 'LOGIN'], hasChunks: true, start: startExim },
  { name: 'opensmtpd', needs: [OPENSMTPD], hasChunks: false, start: startOpensmtpd },
  { name: 'aiosmtpd', needs: [AIOSMTPD], mechanisms: ['PLAIN', 'LOGIN'], hasChunks: false, start: startAiosmtpd },
  {
    name: "dovecot's LMTP",
    needs: [DOVECOT_LMTP],
    mechanisms: [],
    hasChunks: true,
    start: (scratch, files) => DovecotReceiver.start(scratch, files),
  },
]

const FROM = 'sender@sender.example'
const TIMEOUT_MS = 120_000
const LARGE_OCTETS = 5 * 1_048_576

function message(subject: string, body: string): Buffer {
  const fields = `From: ${FROM}\r\nTo: bob@postern.example\r\nDate: Tue, 01 Dec 2026 00:00:00 +0000\r\nMessage-ID: <${subject}@sender.example>\r\n`
  return Buffer.from(`${fields}Subject: ${subject}\r\n\r\n${body}`)
}

/** The part behind the header section. Servers add fields of their own above it. */
function bodyOf(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1')
  const isUnix = !text.includes('\r\n\r\n')
  const body = isUnix
    ? text.slice(text.indexOf('\n\n') + 2).replaceAll('\n', '\r\n')
    : text.slice(text.indexOf('\r\n\r\n') + 4)
  return Buffer.from(body, 'latin1')
}

describe.each(PEERS)('$name', ({ needs: own, mechanisms, hasChunks, start }) => {
  const needs = [...own, OPENSSL]
  const hasTls = mechanisms !== undefined
  let scratch: Scratch
  let files: Files
  let receiver: Receiver

  beforeAll(async () => {
    if (missingOf(needs) !== '') return
    scratch = await Scratch.make()
    files = await makeFiles(scratch)
    receiver = await start(scratch, files)
  }, TIMEOUT_MS)
  afterAll(async () => {
    await receiver?.[Symbol.asyncDispose]()
    await scratch?.[Symbol.asyncDispose]()
  }, TIMEOUT_MS)

  async function open(options: Partial<ClientOptions> = {}): ReturnType<typeof connect> {
    return connect(receiver.url, {
      hostname: 'client.postern.example',
      startTls: hasTls ? 'required' : 'if-offered',
      ...options,
      tls: { ca: files.ca },
    })
  }

  testWith(needs, `a message with dots and 8-bit text arrives${hasTls ? ' under verified TLS' : ''}`, async () => {
    const body = '.\r\n..\r\n.dot\r\n\r\nGrüße\r\n.\r\n'
    const lines: string[] = []
    const client = await open({ trace: ({ text }) => void lines.push(text) })
    expect(client.tls?.peerCertificate?.verified).toBe(hasTls ? true : undefined)
    const { recipients } = await client.send(
      { reversePath: FROM, forwardPaths: ['bob@postern.example'] },
      message('dots', body),
    )
    expect(recipients).toMatchObject([{ address: 'bob@postern.example', isAccepted: true, stage: 'final' }])
    expect(bodyOf(await receiver.taken('bob@postern.example')).toString()).toBe(body)
    expect(lines.some((line) => line.startsWith('BDAT '))).toBe(hasChunks)
    await client.quit()
    expect(client.isOpen).toBe(false)
  })

  testWith(needs, 'a stream of 5 MiB arrives whole, in clear', async () => {
    const line = 'a line that repeats itself, and begins with a dot now and then\r\n.\r\n'
    const whole = message('large', line.repeat(Math.ceil(LARGE_OCTETS / line.length)))
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < whole.length; at += 50_021) yield whole.subarray(at, at + 50_021)
    }
    const client = await open({ startTls: 'never' })
    await client.send({ reversePath: FROM, forwardPaths: ['large@postern.example'] }, pieces())
    await client.quit()
    expect(difference(bodyOf(await receiver.taken('large@postern.example')), bodyOf(whole))).toBeUndefined()
  })

  testWith(needs, 'a recipient that the server refuses does not keep the message from the others', async () => {
    const client = await open()
    const forwardPaths = [NOBODY, 'cat@postern.example']
    const { recipients } = await client.send({ reversePath: '', forwardPaths }, message('partly', 'text\r\n'))
    expect(recipients.map(({ isAccepted, stage }) => [isAccepted, stage])).toEqual([
      [false, 'rcpt'],
      [true, 'final'],
    ])
    const failed = client.send({ reversePath: FROM, forwardPaths: [NOBODY] }, message('none', 'text\r\n'))
    await expect(failed).rejects.toMatchObject({ reason: 'refused', stage: 'rcpt', isTemporary: false })
    await client.send({ reversePath: FROM, forwardPaths: ['dog@postern.example'] }, message('next', 'next\r\n'))
    await client.quit()
    expect(bodyOf(await receiver.taken('cat@postern.example')).toString()).toBe('text\r\n')
    expect(bodyOf(await receiver.taken('dog@postern.example')).toString()).toBe('next\r\n')
  })

  for (const mechanism of mechanisms ?? []) {
    testWith(needs, `a user logs in by ${mechanism}, with the right password only`, async () => {
      const right = { username: USER, password: PASSWORD, accessToken: TOKEN }
      const client = await open({ credentials: right, mechanisms: [mechanism] })
      expect(client.isAuthenticated).toBe(true)
      await client.quit()
      const wrong = { username: USER, password: 'wrong', accessToken: 'wrong' }
      await expect(open({ credentials: wrong, mechanisms: [mechanism] })).rejects.toMatchObject({
        reason: 'login',
        stage: 'auth',
        code: 535,
      })
    })
  }

  if (!hasTls) return
  testWith(needs, 'a certificate that nobody vouches for is refused', async () => {
    const untrusting = connect(receiver.url, { hostname: 'client.postern.example', startTls: 'required' })
    await expect(untrusting).rejects.toMatchObject({
      reason: 'tls',
      stage: 'starttls',
      cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    })
  })
})

testWith([EXIM, OPENSSL], 'exim takes a user by EXTERNAL, with the certificate of the user only', async () => {
  await using scratch = await Scratch.make()
  const files = await makeFiles(scratch)
  await using exim = await startExim(scratch, files)
  const credentials = { external: true, authorizationId: USER }
  const options = { hostname: 'client.postern.example', credentials }
  const { key, cert } = files.client
  const client = await connect(exim.url, { ...options, tls: { ca: files.ca, key, cert } })
  expect([client.isAuthenticated, client.user]).toEqual([true, USER])
  await client.quit()
  const stranger = connect(exim.url, { ...options, tls: { ca: files.ca } })
  await expect(stranger).rejects.toMatchObject({ reason: 'login', stage: 'auth' })
})

testWith([DOVECOT_LMTP, OPENSSL], "dovecot's LMTP takes a message over a Unix socket", async () => {
  await using scratch = await Scratch.make()
  await using dovecot = await DovecotReceiver.start(scratch, await makeFiles(scratch))
  const client = await connect(`lmtp+unix:${dovecot.path}`, { hostname: 'client.postern.example' })
  await client.send({ reversePath: FROM, forwardPaths: ['bob@postern.example'] }, message('unix', 'text\r\n'))
  await client.quit()
  expect(bodyOf(await dovecot.taken('bob@postern.example')).toString()).toBe('text\r\n')
})
