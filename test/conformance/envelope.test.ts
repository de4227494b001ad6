/** What the hooks get: the session, the envelope with its parsed parameters, and the fields of an embedder's extension. */
import { type Envelope, type Extension, type Session, reply } from '@postern/engine'
import { afterAll, describe, expect, test } from 'vitest'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

async function start(...given: Parameters<typeof Service.start>): Promise<Service> {
  const service = await Service.start(...given)
  services.push(service)
  return service
}

const EHLO = 'EHLO client.example'

async function envelopeOf(lines: readonly string[]): Promise<Envelope> {
  let seen: Envelope | undefined
  const service = await start({ auth: 'always' }, { handlers: { data: (message) => void (seen = message.envelope) } })
  await service.at([EHLO, ...lines, 'BDAT 0 LAST'])
  return seen as Envelope
}

describe('the envelope', () => {
  test('has empty fields without parameters', async () => {
    const envelope = await envelopeOf(['MAIL FROM:<>', 'RCPT TO:<Postmaster>'])
    expect(envelope).toMatchObject({ body: '7BIT', smtpUtf8: false })
    expect(envelope.reversePath).toMatchObject({ address: '', localPart: '', domain: '' })
    expect(envelope.forwardPaths[0]).toMatchObject({ address: 'Postmaster', localPart: 'Postmaster', domain: '' })
    for (const field of ['declaredBytes', 'ret', 'envelopeId'] as const) expect(envelope[field]).toBeUndefined()
    expect(envelope.reversePath.parameters.size).toBe(0)
  })

  test('has all parameters of MAIL', async () => {
    const envelope = await envelopeOf([
      'MAIL FROM:<jörg@exämple.org> size=00123 BODY=binarymime SMTPUTF8 RET=hdrs ENVID=a+2Bb+20c AUTH=x+40y@z',
      'RCPT TO:<b@example.com>',
    ])
    expect(envelope).toMatchObject({
      body: 'BINARYMIME',
      smtpUtf8: true,
      declaredBytes: 123,
      ret: 'HDRS',
      envelopeId: 'a+b c',
    })
    expect([...envelope.reversePath.parameters]).toEqual([
      ['SIZE', '00123'],
      ['BODY', 'binarymime'],
      ['SMTPUTF8', ''],
      ['RET', 'hdrs'],
      ['ENVID', 'a+b c'],
      ['AUTH', 'x@y@z'],
    ])
  })

  test('has all parameters of RCPT, of accepted recipients only, in order', async () => {
    let seen: Envelope | undefined
    const service = await start(
      {},
      {
        handlers: {
          rcpt: ({ localPart }) => (localPart === 'no' ? reply(550, '5.1.1', 'No') : undefined),
          data: (message) => void (seen = message.envelope),
        },
      },
    )
    const client = await service.at([
      EHLO,
      'MAIL FROM:<a@example.org>',
      'RCPT TO:<one@example.com> NOTIFY=success,DELAY',
    ])
    await client.command('RCPT TO:<no@example.com>')
    await client.command('RCPT TO:<bad@example.com> NOTIFY=x')
    await client.expectAll([
      'RCPT TO:<"two \\"x\\""@[IPv6:2001:db8::1]> ORCPT=RFC822;Bob+2B1@ent.example NOTIFY=NEVER',
      'BDAT 0 LAST',
    ])
    expect(seen?.forwardPaths).toMatchObject([
      { address: 'one@example.com', notify: ['SUCCESS', 'DELAY'] },
      {
        address: '"two \\"x\\""@[IPv6:2001:db8::1]',
        localPart: 'two "x"',
        domain: '[IPv6:2001:db8::1]',
        literal: { family: 'ipv6', address: '2001:db8::1' },
        notify: ['NEVER'],
        originalRecipient: { addressType: 'rfc822', address: 'Bob+1@ent.example' },
      },
    ])
  })

  test.each([
    ['\\x{E9}\\x{2B}a\\x{3D}b\\x{5C}x{41}@c.example', '\u00e9+a=b\\x{41}@c.example'],
    ['\\x{1F600}\\x{20}\\x{00002b}@c.example', '\u{1f600} +@c.example'],
    ['a+2Bb+5Cx{41}@c.example', 'a+b\\x{41}@c.example'],
    ['a\\b\\x{4}\\x{0000041}@c.example', 'a\\b\\x{4}\\x{0000041}@c.example'],
  ])('has the original recipient of ORCPT=utf-8;%s decoded once', async (written, address) => {
    let seen: Envelope | undefined
    const service = await start({}, { handlers: { data: (message) => void (seen = message.envelope) } })
    await service.at([
      EHLO,
      'MAIL FROM:<a@example.org>',
      `RCPT TO:<b@example.com> ORCPT=utf-8;${written}`,
      'BDAT 0 LAST',
    ])
    expect(seen?.forwardPaths[0]?.originalRecipient).toEqual({ addressType: 'utf-8', address })
    expect(seen?.forwardPaths[0]?.malformedParameters).toBeUndefined()
  })

  test('has the original recipient of a client with SMTPUTF8 as the client wrote it', async () => {
    let seen: Envelope | undefined
    const service = await start({}, { handlers: { data: (message) => void (seen = message.envelope) } })
    await service.at([
      EHLO,
      'MAIL FROM:<a@example.org> SMTPUTF8',
      'RCPT TO:<b@example.com> ORCPT=utf-8;j\u00f8\\x{2B}x@\u00fc.example',
      'BDAT 0 LAST',
    ])
    const address = 'j\u00f8+x@\u00fc.example'
    expect(seen?.forwardPaths[0]?.originalRecipient).toEqual({ addressType: 'utf-8', address })
  })

  test('has what the sender asks of servers that send the message on', async () => {
    let seen: Envelope | undefined
    const extensions = ['REQUIRETLS', 'MT-PRIORITY', 'DELIVERBY', 'FUTURERELEASE'] as const
    const service = await start(
      { extensions, implicitTls: true },
      { handlers: { data: (message) => void (seen = message.envelope) } },
    )
    await service.at([
      EHLO,
      'MAIL FROM:<a@b.example> REQUIRETLS MT-PRIORITY=-2 BY=3600;RT HOLDFOR=60',
      'RCPT TO:<b@example.com>',
      'BDAT 0 LAST',
    ])
    expect(seen).toMatchObject({ requireTls: true, priority: -2, deliverBy: { mode: 'return', trace: true } })
    expect(seen?.deliverBy?.deadline).toBeInstanceOf(Date)
    expect(seen?.holdUntil).toBeInstanceOf(Date)
  })

  test('has nothing of the previous transaction', async () => {
    const envelope = await envelopeOf([
      'MAIL FROM:<old@example.org> BODY=8BITMIME SMTPUTF8 SIZE=3 RET=FULL ENVID=old',
      'RCPT TO:<old@example.com> NOTIFY=NEVER',
      'RSET',
      'MAIL FROM:<new@example.org>',
      'RCPT TO:<new@example.com>',
    ])
    expect(envelope).toMatchObject({ body: '7BIT', smtpUtf8: false })
    expect(envelope.envelopeId).toBeUndefined()
    expect(envelope.forwardPaths).toHaveLength(1)
    expect(envelope.forwardPaths[0]?.notify).toBeUndefined()
  })
})

test('the session is one object from connect to close', async () => {
  const seen = new Set<Session>()
  const see = (session: Session): void => void seen.add(session)
  const service = await start(
    {},
    {
      handlers: {
        connect: see,
        hello: (_, session) => see(session),
        mail: (_, session) => see(session),
        rcpt: (_, session) => see(session),
        data: (_, session) => see(session),
        verify: (_, session) => see(session),
        reset: see,
        close: see,
      },
    },
  )
  const client = await service.at([EHLO, 'VRFY x', 'MAIL FROM:<>', 'RSET', 'MAIL FROM:<>', 'RCPT TO:<b@example.com>'])
  const [session] = seen
  expect(session?.envelope?.forwardPaths.map(({ address }) => address)).toEqual(['b@example.com'])
  await client.expectAll(['BDAT 0 LAST'])
  expect(session).toMatchObject({ messagesAccepted: 1, hello: { verb: 'EHLO', name: 'client.example' } })
  expect(session?.envelope).toBeUndefined()
  expect(session?.remote).toMatchObject({ family: 'ipv4', address: '127.0.0.1', port: client.localPort })
  expect(session?.local.port).toBe(service.port)
  await client.expectAll(['QUIT'])
  await client.closed()
  expect(seen.size).toBe(1)
})

describe('an extension of an embedder', () => {
  const priority: Extension = {
    keyword: 'MT-PRIORITY',
    advertise: () => 'MIXER',
    mail: {
      'MT-PRIORITY': {
        value: 'required',
        apply: (value) => (/^-?\d$/.test(value) ? undefined : reply(501, '5.5.2', 'Not a priority')),
      },
    },
    rcpt: { XFLAG: { value: 'none' } },
    commands: { XPING: (argument) => reply(250, '2.0.0', `pong ${argument.length}`) },
  }

  test('is offered, parsed and run', async () => {
    const service = await start({}, { options: { extensions: [priority] } })
    const client = await service.client()
    expect((await client.command(EHLO)).lines).toContain('MT-PRIORITY MIXER')
    client.send(
      'XPING  abc\r\nxping\r\nMAIL FROM:<> MT-PRIORITY=x\r\nMAIL FROM:<> MT-PRIORITY\r\nMAIL FROM:<> mt-priority=3\r\nRCPT TO:<b@example.com> XFLAG=1\r\nRCPT TO:<b@example.com> XFLAG\r\nXPING\r\nBDAT 2\r\nhiXPING\r\nBDAT 0 LAST\r\n',
    )
    expect((await client.replies(11)).map(short)).toEqual([
      '250 2.0.0',
      '250 2.0.0',
      '501 5.5.2',
      '501 5.5.4',
      '250 2.1.0',
      '501 5.5.4',
      '250 2.1.5',
      '250 2.0.0',
      '250 2.0.0',
      '250 2.0.0',
      '250 2.0.0',
    ])
    expect(service.record(client).events).toContain('mail <> MT-PRIORITY=3')
  })
})
