/** Nodemailer, the usual client of JavaScript programs. */
import type { Envelope } from '@postern/engine'
import { createTransport, type SMTPTransportOptions } from 'nodemailer'
import type { Options as MailOptions } from 'nodemailer/lib/mailer'
import MailComposer from 'nodemailer/lib/mail-composer'
import { afterAll, beforeAll, expect, test as every } from 'vitest'
import { Service } from '../conformance/service.ts'
import { partly } from '../kit/partly.ts'
import { Random } from '../kit/random.ts'
import { serveMail } from '../kit/postern.ts'
import { PASSWORD, USER } from '../contracts/wire/user.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { idIn, keptFor, readAll, readKept } from './store.ts'
import { Scratch } from '../kit/scratch.ts'

const test = partly(every)

const FROM = 'ann@sender.example'
const MiB = 1024 * 1024
let served: Served

beforeAll(async () => {
  served = await serveClients()
})
afterAll(() => served?.[Symbol.asyncDispose]())

/** A message that has the same bytes each time it is built. */
function mail(to: string, more: MailOptions = {}): MailOptions {
  return {
    from: `Ann <${FROM}>`,
    to,
    subject: 'Grüße',
    text: '.first of all a dot\n..two\n.\nend\n',
    date: new Date(0),
    messageId: `<${to.replace(/\W/g, '.')}@sender.example>`,
    baseBoundary: 'boundary',
    ...more,
  }
}

/** Returns the bytes that nodemailer makes of it. On the wire every line ends in CRLF, also the last one. */
async function bytesOf(options: MailOptions): Promise<Buffer> {
  const built = (await new MailComposer(options).compile().build()).toString('latin1').replace(/\r?\n/g, '\r\n')
  return Buffer.from(built.endsWith('\r\n') ? built : `${built}\r\n`, 'latin1')
}

function transport(port: number, more: SMTPTransportOptions = {}): ReturnType<typeof createTransport> {
  return createTransport({ host: '127.0.0.1', port, tls: { ca: served.ca, servername: 'localhost' }, ...more })
}

async function sendAndCompare(
  port: number,
  by: string,
  message: MailOptions,
  more: SMTPTransportOptions = {},
): Promise<void> {
  const info = await transport(port, more).sendMail(message)
  expect(info.response).toMatch(/^250 2\.0\.0 /)
  const kept = await readKept(served.store, idIn(info.response))
  expectKept(kept, { by, from: FROM, to: [message.to as string], bytes: await bytesOf(message) })
}

test('nodemailer sends in clear', () =>
  sendAndCompare(served.smtp, 'ESMTP', mail('plain@postern.example'), { ignoreTLS: true }))

test('nodemailer sends by STARTTLS', () =>
  sendAndCompare(served.smtp, 'ESMTPS', mail('starttls@postern.example'), { requireTLS: true }))

test('nodemailer sends by implicit TLS', () =>
  sendAndCompare(served.smtps, 'ESMTPS', mail('implicit@postern.example'), { secure: true }))

for (const method of ['PLAIN', 'LOGIN']) {
  const auth = { user: USER, pass: PASSWORD, method }
  test(`nodemailer logs in with AUTH ${method}`, async () => {
    await sendAndCompare(served.submission, 'ESMTPSA', mail(`${method}@postern.example`), { requireTLS: true, auth })
    await sendAndCompare(served.submissions, 'ESMTPSA', mail(`s${method}@postern.example`), { secure: true, auth })
  })
}

test('nodemailer reports a wrong and a missing password', async () => {
  const auth = { user: USER, pass: 'wrong' }
  const wrong = transport(served.submission, { requireTLS: true, auth })
  await expect(wrong.sendMail(mail('wrong@postern.example'))).rejects.toMatchObject({ responseCode: 535 })
  const none = transport(served.submission, { requireTLS: true })
  await expect(none.sendMail(mail('wrong@postern.example'))).rejects.toMatchObject({ responseCode: 530 })
  await expect(keptFor(served.store, 'wrong@postern.example')).rejects.toThrow('0 messages')
})

test('nodemailer sends attachments of several MB', async () => {
  const random = new Random(7)
  const attachments = [1, 2, 3].map((n) => ({ filename: `${n}.bin`, content: random.bytes(n * 2 * MiB) }))
  const message = mail('attachments@postern.example', { attachments, html: '<p>Grüße</p>' })
  await sendAndCompare(served.smtp, 'ESMTPS', message)
  await sendAndCompare(served.smtp, 'ESMTP', { ...message, to: 'more@postern.example' }, { ignoreTLS: true })
})

test('nodemailer sends 8-bit text unchanged', async () => {
  const raw = Buffer.from('Subject: raw\r\n\r\nGrüße\r\n.\r\n..\r\n\xff\xfe\r\n', 'latin1')
  const envelope = { from: FROM, to: ['raw@postern.example'], use8BitMime: true }
  await transport(served.smtp).sendMail({ raw, envelope })
  const kept = await keptFor(served.store, 'raw@postern.example')
  expectKept(kept, { by: 'ESMTPS', bytes: raw })
  expect(kept.record.body).toBe('8BITMIME')
})

test('nodemailer sends 100 messages over 5 connections', async () => {
  const pool = createTransport({
    pool: true,
    maxConnections: 5,
    maxMessages: 1_000,
    host: '127.0.0.1',
    port: served.smtp,
    tls: { ca: served.ca, servername: 'localhost' },
  })
  const messages = Array.from({ length: 100 }, (_, i) => mail(`pool${i}@postern.example`, { text: `${i}\n`.repeat(i) }))
  const infos = await Promise.all(messages.map((message) => pool.sendMail(message)))
  pool.close()
  const ids = infos.map((info) => idIn(info.response))
  expect(new Set(ids).size).toBe(100)
  const all = await Promise.all(ids.map((id) => readKept(served.store, id)))
  for (const [i, kept] of all.entries()) {
    const message = messages[i] as MailOptions
    expectKept(kept, { by: 'ESMTPS', to: [message.to as string], bytes: await bytesOf(message) })
  }
  expect(new Set(all.map(({ record }) => record.session.id)).size).toBe(5)
})

test('nodemailer sends to an address that needs SMTPUTF8', async () => {
  const message = mail('jörg@postern.example')
  const info = await transport(served.smtp, { ignoreTLS: true }).sendMail(message)
  const secure = await transport(served.smtp).sendMail(message)
  for (const [response, by] of [
    [info.response, 'UTF8SMTP'],
    [secure.response, 'UTF8SMTPS'],
  ] as const) {
    const kept = await readKept(served.store, idIn(response))
    expectKept(kept, { by, to: ['jörg@postern.example'], bytes: await bytesOf(message) })
    expect(kept.record.smtpUtf8).toBe(true)
    expect(Buffer.from(kept.trace, 'latin1').toString()).toContain('for <jörg@postern.example>')
  }
})

test('nodemailer sends DSN options to a server that offers DSN, and none to another', async () => {
  const to = 'dsn@postern.example'
  const dsn = {
    id: 'batch+7=e?',
    return: 'headers' as const,
    notify: ['success', 'failure', 'delay'] as ('success' | 'failure' | 'delay')[],
    recipient: 'origin@elsewhere.example',
  }
  await transport(served.smtp).sendMail({ ...mail(to), dsn })
  const { record } = await keptFor(served.store, to)
  expect(record.envelopeId).toBeUndefined()
  expect(record.forwardPaths[0]?.parameters).toEqual({})

  let envelope: Envelope | undefined
  const profile = { extensions: ['DSN'], withoutCertificate: true } as const
  const service = await Service.start(profile, { handlers: { data: (message) => void ({ envelope } = message) } })
  await transport(service.port).sendMail({ ...mail(to), dsn })
  await service.close()
  expect(envelope?.ret).toBe('HDRS')
  expect(envelope?.envelopeId).toBe('batch+7=e?')
  expect(envelope?.forwardPaths[0]?.notify).toEqual(['SUCCESS', 'FAILURE', 'DELAY'])
  expect(envelope?.forwardPaths[0]?.originalRecipient).toEqual({
    addressType: 'rfc822',
    address: 'origin@elsewhere.example',
  })
})

test('nodemailer reports refused recipients, if some or all are refused', async () => {
  const to = ['nobody@postern.example', 'some@postern.example', 'nobody2@postern.example', 'more2@postern.example']
  const message = { ...mail('some@postern.example'), to }
  const info = await transport(served.smtp).sendMail(message)
  expect(info.accepted).toEqual(['some@postern.example', 'more2@postern.example'])
  expect(info.rejected).toEqual(['nobody@postern.example', 'nobody2@postern.example'])
  const kept = await readKept(served.store, idIn(info.response))
  expectKept(kept, { by: 'ESMTPS', to: ['some@postern.example', 'more2@postern.example'] })
  expect(kept.trace).not.toContain(' for ')

  const before = (await readAll(served.store)).length
  await expect(transport(served.smtp).sendMail(mail('nobody@postern.example'))).rejects.toMatchObject({
    responseCode: 550,
  })
  expect(await readAll(served.store)).toHaveLength(before)
})

test('nodemailer sends by STARTTLS with a certificate that the server made itself', async () => {
  await using scratch = await Scratch.make()
  await using server = await serveMail({ store: scratch.join('mail'), flags: ['--self-signed'] })
  const tls = { rejectUnauthorized: false }
  const options = { host: '127.0.0.1', port: server.port, requireTLS: true, tls }
  await createTransport(options).sendMail(mail('self@postern.example'))
  expectKept(await keptFor(server.store, 'self@postern.example'), { by: 'ESMTPS' })
  await expect(createTransport({ ...options, tls: {} }).sendMail(mail('strict@postern.example'))).rejects.toThrow(
    /self-signed/,
  )
})
