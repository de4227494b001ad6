/** Python's smtplib. It sends bytes unchanged, except for dot-stuffing and a CRLF at the end. */
import { join } from 'node:path'
import type { Envelope } from '@postern/engine'
import { afterAll, beforeAll, expect } from 'vitest'
import { Service } from '../conformance/service.ts'
import { AWKWARD, messageOf, MiB } from '../corpus/messages.ts'
import { PASSWORD, USER } from '../contracts/wire/user.ts'
import { partly } from '../kit/partly.ts'
import { PYTHON_SMTP } from '../kit/abilities.ts'
import { testWith as everyWith } from '../kit/need.ts'
import { sample } from '../kit/sample.ts'
import { expectKept, type Served, serveClients } from './served.ts'
import { keptFor } from './store.ts'
import { mustRun } from '../kit/tool.ts'

const testWith = partly(everyWith)

const FROM = 'ann@sender.example'
let served: Served

beforeAll(async () => {
  if (PYTHON_SMTP.missing === undefined) served = await serveClients()
})
afterAll(() => served?.[Symbol.asyncDispose]())

interface PythonMessage {
  readonly from?: string
  readonly to: readonly string[]
  readonly bytes: Buffer
  readonly mail_options?: readonly string[]
  readonly rcpt_options?: readonly string[]
}

interface Outcome {
  readonly auth?: number
  readonly refused?: readonly Record<string, number>[]
  readonly noop?: number
  readonly error?: { readonly name: string; readonly code: number | readonly number[] }
}

async function python(
  port: number,
  security: 'none' | 'starttls' | 'implicit',
  messages: readonly PythonMessage[],
  auth: Record<string, unknown> = {},
): Promise<Outcome> {
  const task = {
    port,
    security,
    ca: served.caFile,
    ...auth,
    messages: messages.map(({ bytes, ...rest }) => ({ from: FROM, ...rest, bytes: bytes.toString('base64') })),
  }
  const { stdout } = await mustRun('python3', [join(import.meta.dirname, 'python_client.py')], {
    input: JSON.stringify(task),
  })
  return JSON.parse(stdout.toString()) as Outcome
}

const ways = [
  ['none', 'ESMTP', 'smtp'],
  ['starttls', 'ESMTPS', 'smtp'],
  ['implicit', 'ESMTPS', 'smtps'],
] as const
for (const [security, by, port] of ways) {
  testWith([PYTHON_SMTP], `smtplib sends the corpus with TLS ${security}`, async () => {
    const sendable = AWKWARD.filter(({ byData }) => byData)
    const messages = sendable.map(({ bytes, body }, i) => ({
      to: [`${security}${i}@postern.example`],
      bytes,
      mail_options: body === '7BIT' ? [] : [`BODY=${body}`],
    }))
    const outcome = await python(served[port], security, messages)
    expect(outcome).toEqual({ refused: messages.map(() => ({})), noop: 250 })
    for (const [i, { to, bytes }] of messages.entries()) {
      // smtplib ends every message with CRLF, also an empty one.
      const sent = bytes.length === 0 ? Buffer.from('\r\n') : bytes
      expectKept(await keptFor(served.store, to[0] as string), { by, from: FROM, to, bytes: sent })
      expect((await keptFor(served.store, to[0] as string)).record.body).toBe(sendable[i]?.body)
    }
  })
}

testWith([PYTHON_SMTP], 'smtplib sends 5 MiB', async () => {
  const to = ['large@postern.example']
  const { bytes } = messageOf(5 * MiB)
  expect(await python(served.smtp, 'starttls', [{ to, bytes }])).toMatchObject({ noop: 250 })
  expectKept(await keptFor(served.store, 'large@postern.example'), { by: 'ESMTPS', to, bytes })
})

for (const mechanism of ['PLAIN', 'LOGIN']) {
  for (const initial_response of sample([true, false], 1, mechanism.length)) {
    testWith(
      [PYTHON_SMTP],
      `smtplib logs in with AUTH ${mechanism}, initial response ${initial_response}`,
      async () => {
        const to = [`${mechanism}${initial_response}@postern.example`]
        const { bytes } = messageOf(1_000)
        const auth = { user: USER, password: PASSWORD, mechanism, initial_response }
        expect(await python(served.submission, 'starttls', [{ to, bytes }], auth)).toMatchObject({
          auth: 235,
          noop: 250,
        })
        expectKept(await keptFor(served.store, to[0] as string), { by: 'ESMTPSA', to, bytes })

        const wrong = await python(served.submissions, 'implicit', [], { ...auth, password: 'wrong' })
        expect(wrong.error).toEqual({ name: 'SMTPAuthenticationError', code: 535 })
      },
    )
  }
}

testWith([PYTHON_SMTP], 'smtplib: SMTPUTF8', async () => {
  const to = ['jürgen@postern.example']
  const from = 'änn@sender.example'
  const bytes = Buffer.from('Subject: Grüße\r\nTo: jürgen@postern.example\r\n\r\nHallo.\r\n')
  const outcome = await python(served.smtp, 'starttls', [
    { from, to, bytes, mail_options: ['SMTPUTF8', 'BODY=8BITMIME'] },
  ])
  expect(outcome).toEqual({ refused: [{}], noop: 250 })
  const kept = await keptFor(served.store, to[0] as string)
  expectKept(kept, { by: 'UTF8SMTPS', from, to, bytes })
  expect(kept.record).toMatchObject({ smtpUtf8: true, body: '8BITMIME' })
})

testWith([PYTHON_SMTP], 'smtplib sends DSN options, and a server that does not offer DSN refuses them', async () => {
  const { bytes } = messageOf(1_000)
  const options = {
    mail_options: ['RET=FULL', 'ENVID=a+2Bb'],
    rcpt_options: ['NOTIFY=NEVER', 'ORCPT=rfc822;o+2Bo@x.example'],
  }
  const sent = [{ to: ['dsn@postern.example'], bytes, ...options }]
  const refused = await python(served.smtp, 'none', sent)
  expect(refused.error).toEqual({ name: 'SMTPSenderRefused', code: 555 })

  let envelope: Envelope | undefined
  const service = await Service.start(
    { extensions: ['DSN'] },
    { handlers: { data: (message) => void ({ envelope } = message) } },
  )
  expect((await python(service.port, 'none', sent)).refused).toEqual([{}])
  await service.close()
  expect(envelope).toMatchObject({ ret: 'FULL', envelopeId: 'a+b' })
  expect(envelope?.forwardPaths[0]).toMatchObject({
    notify: ['NEVER'],
    originalRecipient: { addressType: 'rfc822', address: 'o+o@x.example' },
  })
})

testWith([PYTHON_SMTP], 'smtplib reports refused recipients, if some or all are refused', async () => {
  const { bytes } = messageOf(1_000)
  const some = await python(served.smtp, 'none', [{ to: ['nobody@postern.example', 'some@postern.example'], bytes }])
  expect(some.refused).toEqual([{ 'nobody@postern.example': 550 }])
  expectKept(await keptFor(served.store, 'some@postern.example'), { by: 'ESMTP', to: ['some@postern.example'], bytes })
  const all = await python(served.smtp, 'none', [{ to: ['nobody@postern.example', 'nobody2@postern.example'], bytes }])
  expect(all.error).toEqual({ name: 'SMTPRecipientsRefused', code: [550, 550] })
})

testWith(
  [PYTHON_SMTP],
  'smtplib gets a refusal for a message over the limit before it sends it, because it declares the size',
  async () => {
    const { bytes } = messageOf(26 * MiB)
    const outcome = await python(served.smtp, 'none', [{ to: ['huge@postern.example'], bytes }])
    expect(outcome.error).toEqual({ name: 'SMTPSenderRefused', code: 552 })
  },
)
