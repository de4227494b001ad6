/** The debug log of the wire and the replies never show a secret, nor the raw bytes of a client. */
import type { WireLine } from '@postern/engine'
import { afterAll, expect, test } from 'vitest'
import { Service } from './service.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

const SECRET = 'hunter2hunter2'
const b64 = (text: string): string => Buffer.from(text).toString('base64')
const PLAIN = b64(`\0alice\0${SECRET}`)

async function logged(
  lines: readonly string[],
  profile: Parameters<typeof Service.start>[0] = { auth: 'always' },
): Promise<string[]> {
  const log: WireLine[] = []
  const service = await Service.start(profile, { options: { trace: (line) => log.push(line) } })
  services.push(service)
  const client = await service.client()
  for (const line of lines) {
    client.send(`${line}\r\n`)
    await client.reply()
  }
  expect(new Set(log.map(({ sessionId }) => sessionId)).size).toBe(1)
  return log.map(({ from, text }) => `${from === 'client' ? 'C' : 'S'}: ${text}`)
}

test.each([
  ['PLAIN', ['EHLO c', `AUTH PLAIN ${PLAIN}`]],
  ['PLAIN in two lines', ['EHLO c', 'AUTH PLAIN', PLAIN]],
  ['LOGIN', ['EHLO c', 'AUTH LOGIN', b64('alice'), b64(SECRET)]],
  ['two blanks', ['EHLO c', `AUTH  PLAIN  ${PLAIN}`]],
  ['a mechanism that is unknown', ['EHLO c', `AUTH OTHER ${PLAIN}`, PLAIN]],
  ['before EHLO', [`AUTH PLAIN ${PLAIN}`, PLAIN]],
  ['a line over the limit', ['EHLO c', `AUTH PLAIN ${PLAIN.repeat(1_000)}`]],
  ['a response over the limit', ['EHLO c', 'AUTH PLAIN', PLAIN.repeat(1_000)]],
  ['glued to the mechanism', ['EHLO c', `AUTH ${PLAIN}`]],
  ['glued to the verb', ['EHLO c', `AUTH=${PLAIN}`]],
  ['with a tab', ['EHLO c', `AUTH\tPLAIN\t${PLAIN}`]],
  ['in lower case', ['ehlo c', `auth plain ${PLAIN}`]],
  ['misspelt', ['EHLO c', `AUHT PLAIN ${PLAIN}`]],
  ['behind a blank', ['EHLO c', ` AUTH PLAIN ${PLAIN}`]],
  [
    'in a transaction',
    ['EHLO c', 'MAIL FROM:<>', `AUTH PLAIN ${PLAIN}`, 'RCPT TO:<b@example.com>', `AUTH PLAIN ${PLAIN}`],
  ],
  ['twice', ['EHLO c', `AUTH PLAIN ${PLAIN}`, `AUTH PLAIN ${PLAIN}`]],
  ['behind a bare LF', ['EHLO c', `VRFY x\nAUTH PLAIN ${PLAIN}`]],
  ['before a bare LF', ['EHLO c', `AUTH PLAIN ${PLAIN}\nVRFY x`]],
  ['with a bare CR', ['EHLO c', `AUTH PLAIN\r${PLAIN}`]],
  ['a response with a bare LF', ['EHLO c', 'AUTH PLAIN', `${PLAIN}\n${PLAIN}`]],
  ['with a NUL', ['EHLO c', `AUTH PLAIN \0${PLAIN}`]],
  ['padded with a parameter', ['EHLO c', `AUTH PLAIN ${PLAIN} SIZE=1`]],
])('the log shows no credentials: %s', async (_, lines) => {
  for (const profile of [{ auth: 'always' }, { auth: 'with-tls' }, {}] as const) {
    const log = (await logged(lines, profile)).join('\n')
    for (const secret of [SECRET, PLAIN, b64(SECRET), b64('alice')]) expect(log).not.toContain(secret)
  }
})

test.each([{ auth: 'always' }, { auth: 'with-tls' }, {}] as const)(
  'the log shows no credentials if an exchange comes in one packet and its first line is refused: %o',
  async (profile) => {
    const log: WireLine[] = []
    const service = await Service.start(profile, { options: { trace: (line) => log.push(line) } })
    services.push(service)
    for (const first of ['AUTH LOGIN', 'AUTH OTHER', 'AUTH', 'MAIL FROM:<>\r\nAUTH LOGIN', 'AUHT LOGIN']) {
      const client = await service.client()
      const lines = ['EHLO c', first, b64('alice'), b64(SECRET), PLAIN, 'QUIT']
      client.send(`${lines.join('\r\n')}\r\n`)
      while (!(await client.reply()).raw.startsWith('221 ')) {}
    }
    const text = log.map((line) => line.text).join('\n')
    for (const secret of [SECRET, PLAIN, b64(SECRET), b64('alice')]) expect(text).not.toContain(secret)
    expect(log.filter((line) => line.text === 'QUIT')).toHaveLength(5)
  },
)

test('the log shows the replies of the server unchanged, also the offered mechanisms', async () => {
  const log = await logged(['EHLO c'])
  expect(log).toContain('S: 250-AUTH PLAIN LOGIN')
  expect(log.at(-1)).toBe('S: 250 DSN')
})

test('the log shows all other bytes in printable form', async () => {
  const log = await logged(['EHLO client.example', 'MAIL FROM:<a@example.org>', 'NOOP \x1b[31m\u0007'])
  expect(log[0]).toMatch(/^S: 220 /)
  expect(log).toContain('C: EHLO client.example')
  expect(log).toContain('S: 250-PIPELINING')
  expect(log).toContain('C: MAIL FROM:<a@example.org>')
  expect(log.join('')).toMatch(/^[\x20-\x7e]*$/)
})

test('no reply repeats the bytes of the client', async () => {
  const service = await Service.start({ auth: 'always', addresses: 'lenient', limits: { maxBadCommands: 100 } })
  services.push(service)
  const client = await service.client()
  const mark = '<script>ECHO</script>'
  const lines = [
    mark, `EHLO ${mark}`, `HELO ${mark}`, `MAIL FROM:<${mark}>`, `MAIL FROM:<> ${mark}=1`, `MAIL FROM:<> SIZE=${mark}`, `MAIL ${mark}`,
    'MAIL FROM:<>', `RCPT TO:<${mark}>`, `RCPT TO:<b@example.com> ORCPT=${mark}`, `RSET ${mark}`, `NOOP ${mark}`, `VRFY ${mark}`, `EXPN ${mark}`,
    `HELP ${mark}`, `STARTTLS ${mark}`, `AUTH ${mark}`, `AUTH PLAIN ${mark}`, `BDAT ${mark}`, `DATA ${mark}`, `QUIT ${mark}`, `${mark}\nNOOP`,
    `NOOP ${mark.repeat(100)}`,
  ] // prettier-ignore
  for (const line of lines) {
    client.send(`${line}\r\n`)
    const { raw } = await client.reply()
    expect(raw, line).not.toContain('ECHO')
  }
})
