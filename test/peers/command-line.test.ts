/** Common clients on the command line: curl, swaks, msmtp. */
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect } from 'vitest'
import { partly } from '../kit/partly.ts'
import { CURL, CURL_TLS, MSMTP_TLS, SWAKS_TLS } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { messageOf, MiB } from '../corpus/messages.ts'
import { PASSWORD, USER } from '../contracts/wire/user.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { keptFor } from './store.ts'
import { runTool, type ToolResult } from '../kit/tool.ts'

const testWith = partly(everyWith)

const FROM = 'ann@sender.example'
let served: Served

beforeAll(async () => {
  served = await serveClients()
})
afterAll(() => served?.[Symbol.asyncDispose]())

/** Lines with dots, also the first and the last one, and 8-bit octets. */
const DOTS = Buffer.from(
  'From: ann@sender.example\r\nSubject: dots\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <dots@sender.example>\r\n' +
    '\r\n.\r\n..\r\n...\r\n.a\r\n. \r\n\r\n.\r\nGr\xfc\xdfe\r\n..',
  'latin1',
)
const ENDED = Buffer.concat([DOTS, Buffer.from('\r\n')])

async function fileOf(name: string, bytes: Buffer): Promise<string> {
  const path = served.scratch.join(name)
  await writeFile(path, bytes)
  return path
}

// curl sends the file unchanged, except for dot-stuffing.

async function curl(
  url: string,
  file: string,
  to: readonly string[],
  more: readonly string[] = [],
): Promise<ToolResult> {
  const recipients = to.flatMap((address) => ['--mail-rcpt', address])
  const flags = ['--silent', '--show-error', '--max-time', '30', '--cacert', served.caFile, ...more]
  return runTool('curl', [...flags, '--mail-from', FROM, ...recipients, '--upload-file', file, `${url}/client.example`])
}

testWith([CURL_TLS], 'curl sends in clear, with --ssl-reqd and by smtps, to several recipients', async () => {
  const file = await fileOf('curl.eml', ENDED)
  const cases = [
    ['plain', `smtp://127.0.0.1:${served.smtp}`, [], 'ESMTP'],
    ['starttls', `smtp://127.0.0.1:${served.smtp}`, ['--ssl-reqd'], 'ESMTPS'],
    ['tls12', `smtp://127.0.0.1:${served.smtp}`, ['--ssl-reqd', '--tls-max', '1.2'], 'ESMTPS'],
    ['implicit', `smtps://localhost:${served.smtps}`, [], 'ESMTPS'],
  ] as const
  for (const [name, url, more, by] of cases) {
    const to = [1, 2, 3].map((n) => `curl-${name}${n}@postern.example`)
    const { code, stderr } = await curl(url, file, to, more)
    expect(code, stderr).toBe(0)
    const kept = await keptFor(served.store, to[0] as string)
    const tls = name === 'tls12' ? /^TLSv1\.2$/ : /^TLSv1\.3$/
    expectKept(kept, { by, from: FROM, to, bytes: ENDED, tls })
    expect(kept.record.session.hello).toEqual({ verb: 'EHLO', name: 'client.example' })
    expect(kept.record.session.tls?.serverName).toBe(name === 'implicit' ? 'localhost' : undefined)
  }
})

testWith([CURL_TLS], 'curl logs in with PLAIN and LOGIN, and fails with a wrong password', async () => {
  const file = await fileOf('curl-auth.eml', ENDED)
  const url = `smtp://127.0.0.1:${served.submission}`
  for (const mechanism of ['PLAIN', 'LOGIN']) {
    const to = [`curl-${mechanism}@postern.example`]
    const login = ['--ssl-reqd', '--user', `${USER}:${PASSWORD}`, '--login-options', `AUTH=${mechanism}`]
    const { code, stderr } = await curl(url, file, to, login)
    expect(code, stderr).toBe(0)
    expectKept(await keptFor(served.store, to[0] as string), { by: 'ESMTPSA', to, bytes: ENDED })
  }
  const wrong = await curl(url, file, ['curl-wrong@postern.example'], ['--ssl-reqd', '--user', `${USER}:wrong`])
  expect(wrong.code).toBe(67)
  const clear = await curl(url, file, ['curl-wrong@postern.example'])
  expect(clear.code).not.toBe(0)
  expect(clear.stderr).toContain('530')
})

testWith([CURL_TLS], 'curl sends 5 MiB, and reports a refused recipient and a file over the limit', async () => {
  const { bytes } = messageOf(5 * MiB)
  const url = `smtp://127.0.0.1:${served.smtp}`
  const large = await curl(url, await fileOf('large.eml', bytes), ['curl-large@postern.example'], ['--ssl-reqd'])
  expect(large.code, large.stderr).toBe(0)
  expectKept(await keptFor(served.store, 'curl-large@postern.example'), { by: 'ESMTPS', bytes })

  const file = await fileOf('curl-refused.eml', ENDED)
  const to = ['nobody@postern.example', 'curl-some@postern.example']
  expect((await curl(url, file, to)).stderr).toContain('550')
  const some = await curl(url, file, to, ['--mail-rcpt-allowfails'])
  expect(some.code, some.stderr).toBe(0)
  expectKept(await keptFor(served.store, 'curl-some@postern.example'), { by: 'ESMTP', to: to.slice(1), bytes: ENDED })

  // curl declares the size of the file.
  const huge = await curl(url, await fileOf('huge.eml', messageOf(26 * MiB).bytes), ['curl-huge@postern.example'])
  expect(huge.stderr).toContain('552')
})

testWith([CURL_TLS], 'curl: SMTPUTF8', async () => {
  const file = await fileOf('curl-utf8.eml', Buffer.from('Subject: Grüße\r\n\r\nHallo\r\n'))
  const to = ['cürl@postern.example']
  const { code, stderr } = await curl(`smtp://127.0.0.1:${served.smtp}`, file, to, ['--ssl-reqd'])
  expect(code, stderr).toBe(0)
  expectKept(await keptFor(served.store, to[0] as string), { by: 'UTF8SMTPS', to })
})

// swaks corrects line ends and dots, and adds CRLF at the end.

async function swaks(port: number, to: readonly string[], more: readonly string[]): Promise<ToolResult> {
  const envelope = ['--from', FROM, '--to', to.join(','), '--helo', 'client.example']
  return runTool('swaks', ['--server', `127.0.0.1:${port}`, '--timeout', '20', ...envelope, ...more])
}

testWith(
  [SWAKS_TLS],
  'swaks sends in clear, with --tls, --tlsc, AUTH and --pipeline, also data with dots',
  async () => {
    const data = ['--data', `@${await fileOf('swaks.eml', DOTS)}`]
    const verify = ['--tls-verify', '--tls-ca-path', served.caFile]
    const login = ['--auth-user', USER, '--auth-password', PASSWORD]
    const cases = [
      ['plain', served.smtp, [], 'ESMTP'],
      ['pipeline', served.smtp, ['--pipeline'], 'ESMTP'],
      ['helo', served.smtp, ['--protocol', 'SMTP'], 'SMTP'],
      ['tls', served.smtp, ['--tls', ...verify], 'ESMTPS'],
      ['tls12', served.smtp, ['--tls', '--tls-protocol', 'tlsv1_2'], 'ESMTPS'],
      ['tlsc', served.smtps, ['--tlsc', ...verify], 'ESMTPS'],
      ['auth-plain', served.submission, ['--tls', '--auth', 'PLAIN', ...login], 'ESMTPSA'],
      ['auth-login', served.submission, ['--tls', '--auth', 'LOGIN', ...login], 'ESMTPSA'],
      ['auth-tlsc', served.submissions, ['--tlsc', '--auth', 'PLAIN', '--pipeline', ...login], 'ESMTPSA'],
    ] as const
    for (const [name, port, more, by] of cases) {
      const to = [`swaks-${name}1@postern.example`, `swaks-${name}2@postern.example`]
      const { code, stdout, stderr } = await swaks(port, to, [...data, ...more])
      expect(code, stdout.toString() + stderr).toBe(0)
      const kept = await keptFor(served.store, to[0] as string)
      const tls = name === 'tls12' ? /^TLSv1\.2$/ : /^TLSv1\.3$/
      expectKept(kept, { by, from: FROM, to, bytes: ENDED, tls })
    }
  },
)

testWith([SWAKS_TLS], 'swaks reports a wrong password, refused recipients and required TLS', async () => {
  const wrong = ['--tls', '--auth', 'PLAIN', '--auth-user', USER, '--auth-password', 'wrong']
  expect((await swaks(served.submission, ['swaks-wrong@postern.example'], wrong)).code).toBe(28)
  expect((await swaks(served.submission, ['swaks-wrong@postern.example'], [])).code).toBe(23)
  expect((await swaks(served.smtp, ['nobody@postern.example'], ['--pipeline'])).code).toBe(24)
  const some = await swaks(served.smtp, ['nobody@postern.example', 'swaks-some@postern.example'], ['--pipeline'])
  expect(some.code).toBe(0)
  expectKept(await keptFor(served.store, 'swaks-some@postern.example'), {
    by: 'ESMTP',
    to: ['swaks-some@postern.example'],
  })
})

// msmtp converts line ends to CRLF, and adds no header field if From, Date and Message-ID are there.

async function msmtp(port: number, to: readonly string[], settings: readonly string[]): Promise<ToolResult> {
  const account = ['account default', 'host 127.0.0.1', `port ${port}`, `from ${FROM}`, 'domain client.example']
  const file = served.scratch.join('msmtprc')
  await writeFile(file, [...account, 'timeout 20', ...settings, ''].join('\n'), { mode: 0o600 })
  const input = DOTS.toString('latin1').replaceAll('\r\n', '\n')
  return runTool('msmtp', ['-C', file, ...to], { input: Buffer.from(input, 'latin1') })
}

testWith([MSMTP_TLS], 'msmtp sends in clear, by STARTTLS, by implicit TLS, and with AUTH', async () => {
  const tls = ['tls on', `tls_trust_file ${served.caFile}`]
  const login = ['auth plain', `user ${USER}`, `passwordeval printf '%s' '${PASSWORD}'`]
  const cases = [
    ['plain', served.smtp, ['tls off', 'auth off'], 'ESMTP'],
    ['starttls', served.smtp, [...tls, 'tls_starttls on', 'auth off'], 'ESMTPS'],
    ['implicit', served.smtps, [...tls, 'tls_starttls off', 'auth off'], 'ESMTPS'],
    ['auth', served.submission, [...tls, 'tls_starttls on', ...login], 'ESMTPSA'],
    ['auth-login', served.submissions, [...tls, 'tls_starttls off', ...login, 'auth login'], 'ESMTPSA'],
  ] as const
  for (const [name, port, settings, by] of cases) {
    const to = [`msmtp-${name}1@postern.example`, `msmtp-${name}2@postern.example`]
    const { code, stderr } = await msmtp(port, to, settings)
    expect(code, `${name}: ${stderr}`).toBe(0)
    expectKept(await keptFor(served.store, to[0] as string), { by, from: FROM, to, bytes: ENDED })
  }
  const refused = await msmtp(served.smtp, ['nobody@postern.example'], ['tls off', 'auth off'])
  expect(refused.code).toBe(65)
  expect(refused.stderr).toContain('550 5.1.1')
})

testWith([CURL], 'curl gets a refusal for bare line ends, and none with --crlf', async () => {
  const file = await fileOf('bare.eml', Buffer.from('Subject: bare\n\nlines\n'))
  const to = ['curl-bare@postern.example']
  const url = `smtp://127.0.0.1:${served.smtp}`
  expect((await curl(url, file, to)).code).toBe(8)
  await expect(keptFor(served.store, to[0] as string)).rejects.toThrow('0 messages')
  expect((await curl(url, file, to, ['--crlf'])).code).toBe(0)
  const bytes = Buffer.from('Subject: bare\r\n\r\nlines\r\n')
  expectKept(await keptFor(served.store, to[0] as string), { by: 'ESMTP', to, bytes })
})
