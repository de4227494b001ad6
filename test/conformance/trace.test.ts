/** The trace header: RFC 5321 4.4, RFC 3848, RFC 6531 4.3. */
import { afterAll, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { Service } from './service.ts'
import type { Profile } from './recorder.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

const PLAIN = Buffer.from('\0alice\0secret').toString('base64')

async function trace(
  lines: readonly string[],
  { profile = {}, prepare }: { profile?: Profile; prepare?: (client: SocketClient) => Promise<unknown> } = {},
): Promise<string> {
  const service = await Service.start({ auth: 'always', ...profile })
  services.push(service)
  const client = await service.client()
  await prepare?.(client)
  await client.expectAll([...lines, 'BDAT 0 LAST'])
  const [message] = service.record(client).kept
  // The engine writes the header. It does not change the text of the client.
  expect(message?.text).toBe('')
  return message?.trace ?? ''
}

const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const RCPT = 'RCPT TO:<b@example.com>'
const secure = async (client: SocketClient): Promise<void> => {
  await client.expectAll([EHLO, 'STARTTLS'])
  await client.startTls()
}

const keyword = (text: string): string | undefined => / with (\S+)/.exec(text)?.[1]

test('the header has the form of RFC 5321', async () => {
  const text = await trace([EHLO, MAIL, RCPT])
  expect(text.replace(/\r\n /g, ' ')).toMatch(
    /^Received: from client\.example \(\[127\.0\.0\.1\]\) by mx\.example\.com with ESMTP id [0-9A-HJKMNP-TV-Z]{26} for <b@example\.com>; \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n$/,
  )
  for (const line of text.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78)
  const date = new Date(text.slice(text.lastIndexOf(';') + 1).trim())
  expect(Math.abs(date.getTime() - Date.now())).toBeLessThan(60_000)
})

test('the keyword is SMTP after HELO', async () => {
  expect(keyword(await trace(['HELO client.example', MAIL, RCPT]))).toBe('SMTP')
})

test('the keyword is ESMTPA after AUTH', async () => {
  expect(keyword(await trace([EHLO, `AUTH PLAIN ${PLAIN}`, MAIL, RCPT]))).toBe('ESMTPA')
})

test('the keyword is ESMTPS or ESMTPSA under TLS', async () => {
  expect(keyword(await trace([EHLO, MAIL, RCPT], { prepare: secure }))).toBe('ESMTPS')
  expect(keyword(await trace([EHLO, `AUTH PLAIN ${PLAIN}`, MAIL, RCPT], { prepare: secure }))).toBe('ESMTPSA')
  expect(keyword(await trace([EHLO, MAIL, RCPT], { profile: { implicitTls: true } }))).toBe('ESMTPS')
})

test('the keyword is a UTF8SMTP one if MAIL has SMTPUTF8', async () => {
  expect(keyword(await trace([EHLO, `${MAIL} SMTPUTF8`, RCPT]))).toBe('UTF8SMTP')
  expect(keyword(await trace([EHLO, `AUTH PLAIN ${PLAIN}`, `${MAIL} SMTPUTF8`, RCPT], { prepare: secure }))).toBe(
    'UTF8SMTPSA',
  )
  expect(keyword(await trace([EHLO, `${MAIL} SMTPUTF8`, RCPT, 'RSET', MAIL, RCPT]))).toBe('ESMTP')
})

test('the header names no recipient if there are two, because each would learn of the other', async () => {
  const text = await trace([EHLO, MAIL, RCPT, 'RCPT TO:<hidden@example.com>'])
  expect(text).not.toContain('for <')
  expect(text).not.toContain('hidden')
})

test('a quoted recipient and an address literal are not changed', async () => {
  expect(await trace(['EHLO [192.0.2.1]', MAIL, 'RCPT TO:<"a b"@[192.0.2.7]>'])).toMatch(/for <"a b"@\[192\.0\.2\.7\]>/)
})

test('no text of a client can begin another header', async () => {
  const text = await trace(['EHLO (x) \\"<@>;\'"', MAIL, RCPT], { profile: { addresses: 'lenient' } })
  expect(text.split('\r\n').filter((line) => line !== '' && !line.startsWith(' '))).toHaveLength(1)
  expect(text).toMatch(/^Received: from [A-Za-z0-9._:[\]?-]+ \(\[127\.0\.0\.1\]\)/)
})

test('a message of any length has the header once, apart from its text', async () => {
  const service = await Service.start()
  services.push(service)
  const client = await service.at([EHLO, MAIL, RCPT, 'DATA'])
  client.send('Received: from elsewhere\r\nSubject: x\r\n\r\nbody\r\n.\r\n')
  await client.reply()
  const [message] = service.record(client).kept
  expect(message?.text).toBe('Received: from elsewhere\r\nSubject: x\r\n\r\nbody\r\n')
  expect(message?.trace.match(/Received:/g)).toHaveLength(1)
})
