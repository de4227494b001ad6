/** The public extension interface, used as an embedder does: parameters, advertisement, commands, line lengths. */
import {
  createServer,
  deliverBy,
  dsn,
  type Envelope,
  type Extension,
  mtPriority,
  OptionError,
  reply,
  type ServerOptions,
} from '@postern/engine'
import { describe, expect, test } from 'vitest'
import { converse } from './dialogue.ts'

const OPEN = 'EHLO client.example\r\n'

/** RFC 6710, as an embedder would write it. */
const priority: Extension = {
  keyword: 'MT-PRIORITY',
  advertise: ({ isSecure }) => (isSecure ? null : 'MIXER'),
  lineOctets: { MAIL: 15 },
  mail: {
    'MT-PRIORITY': {
      value: 'required',
      apply: (value) => (/^-?[0-9]$/.test(value) ? undefined : reply(501, '5.5.2', 'From -9 to 9')),
    },
  },
}

function serverWith(
  extensions: readonly Extension[],
  options: Partial<ServerOptions> = {},
): {
  server: ReturnType<typeof createServer>
  envelopes: Envelope[]
} {
  const envelopes: Envelope[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    extensions,
    data({ envelope }) {
      envelopes.push(envelope)
    },
    ...options,
  })
  return { server, envelopes }
}

describe('parameters', () => {
  const message = 'RCPT TO:<b@c.example>\r\nDATA\r\n.\r\n'

  test('are advertised, checked and recorded', async () => {
    const { server, envelopes } = serverWith([priority])
    const replies = await converse(server, `${OPEN}MAIL FROM:<a@b.example> mt-priority=-3 SIZE=5\r\n${message}`)
    expect(replies).toContain('250-MT-PRIORITY MIXER\r\n'.replace('250-', ''))
    expect(replies).toMatch(/354 [^\r]*\r\n250 2\.0\.0 /)
    expect(envelopes[0]?.reversePath.parameters).toEqual(
      new Map([
        ['MT-PRIORITY', '-3'],
        ['SIZE', '5'],
      ]),
    )
    expect(envelopes[0]?.declaredBytes).toBe(5)
  })

  test('refuse with their own reply, and are unknown without the extension', async () => {
    const line = `${OPEN}MAIL FROM:<> MT-PRIORITY=x\r\n`
    expect(await converse(serverWith([priority]).server, line)).toContain('\r\n501 5.5.2 From -9 to 9\r\n')
    expect(await converse(serverWith([]).server, line)).toContain('\r\n555 5.5.4 ')
  })

  test('that the session does not offer are unknown', async () => {
    const never: Extension = { ...priority, advertise: () => null }
    const replies = await converse(serverWith([never]).server, `${OPEN}MAIL FROM:<> MT-PRIORITY=1\r\n`)
    expect(replies).not.toContain('MT-PRIORITY')
    expect(replies).toContain('\r\n555 5.5.4 ')
  })

  test('may belong to RCPT, in xtext, and write into the envelope', async () => {
    const label: Extension = {
      keyword: 'XLABEL',
      rcpt: { XLABEL: { value: 'required', encoding: 'xtext' } },
    }
    const { server, envelopes } = serverWith([label])
    await converse(server, `${OPEN}MAIL FROM:<>\r\nRCPT TO:<a@b.example> XLABEL=a+20b\r\nDATA\r\n.\r\n`)
    expect(envelopes[0]?.forwardPaths[0]?.parameters.get('XLABEL')).toBe('a b')
  })

  test('may replace a built-in one', async () => {
    const strict: Extension = {
      keyword: 'XSIZE',
      mail: { SIZE: { value: 'required', apply: () => reply(452, '4.3.1', 'Never') } },
    }
    expect(await converse(serverWith([strict]).server, `${OPEN}MAIL FROM:<> SIZE=1\r\n`)).toContain('452 4.3.1 Never')
  })
})

describe('commands', () => {
  const cookie: Extension = {
    keyword: 'XCOOKIE',
    commands: {
      XCOOKIE: (argument) => (argument === 'jar' ? reply(250, '2.0.0', ['one', 'two']) : undefined),
      XLATER: async () => reply(550, '5.7.1', 'Not today'),
    },
  }

  test('answer in order with the other commands', async () => {
    const sent = `XCOOKIE jar\r\n${OPEN}xcookie\r\nXLATER x\r\nNOOP\r\nXCOOKIE\0\r\nMAIL FROM:<>\r\nXCOOKIE\r\nRCPT TO:<a@b>\r\n`
    const replies = await converse(serverWith([cookie]).server, sent)
    const codes = replies
      .split('\r\n')
      .filter((line) => /^\d{3} /.test(line))
      .map((line) => line.slice(0, 9))
    expect(codes).toEqual([
      '220 mx.ex',
      '250 2.0.0',
      '250 XCOOK',
      '250 2.0.0',
      '550 5.7.1',
      '250 2.0.0',
      '501 5.5.2',
      '250 2.1.0',
      '250 2.0.0',
      '250 2.1.5',
    ])
    expect(replies).toContain('250-2.0.0 one\r\n250 2.0.0 two\r\n')
  })

  test('are listed by HELP, and are refused without required TLS or AUTH', async () => {
    expect(await converse(serverWith([cookie]).server, 'HELP\r\n')).toMatch(/214 2\.0\.0 .*XCOOKIE XLATER/)
    const gated = serverWith([cookie], { tls: { required: true } }).server
    expect(await converse(gated, 'XCOOKIE\r\n')).toContain('530 5.7.0')
  })
})

describe('HELP', () => {
  const cookie: Extension = {
    keyword: 'XCOOKIE',
    advertise: ({ isAuthenticated }) => (isAuthenticated ? '' : null),
    mail: { XFLAVOUR: { value: 'required' } },
    commands: { XCOOKIE: { syntax: 'jar', handle: () => undefined }, XEAT: () => undefined },
  }

  test('tells the syntax of a command with the parameters on offer', async () => {
    const { server } = serverWith([dsn, mtPriority(), cookie])
    const replies = await converse(server, 'HELP MAIL\r\nHELP RCPT\r\nHELP data\r\nHELP xcookie\r\nHELP XEAT\r\n')
    expect(replies.split('\r\n').slice(1, 6)).toEqual([
      '214 2.0.0 MAIL FROM:<reverse-path> [SIZE=value] [BODY=value] [SMTPUTF8] [RET=value] [ENVID=value] [MT-PRIORITY=value]',
      '214 2.0.0 RCPT TO:<forward-path> [NOTIFY=value] [ORCPT=value]',
      '214 2.0.0 DATA',
      '214 2.0.0 XCOOKIE jar',
      '214 2.0.0 XEAT',
    ])
  })

  test('never repeats what the client wrote', async () => {
    expect(await converse(serverWith([]).server, 'HELP <secret>\r\n')).toContain('\r\n504 5.5.4 No help for that\r\n')
  })
})

test('an extension may bring ETRN, which is off without one', async () => {
  const turn: Extension = { keyword: 'ETRN', commands: { ETRN: () => reply(250, '2.0.0', 'Queuing started') } }
  expect(await converse(serverWith([turn]).server, `${OPEN}ETRN example.com\r\n`)).toContain(
    '250 2.0.0 Queuing started',
  )
  expect(await converse(serverWith([]).server, `${OPEN}ETRN example.com\r\n`)).toContain('502 5.5.1 ')
})

describe('extensions of the engine', () => {
  test('are added by name, in any number', async () => {
    const { server, envelopes } = serverWith([dsn, mtPriority(), deliverBy({ minSeconds: 30 })])
    const replies = await converse(
      server,
      `${OPEN}MAIL FROM:<a@b.example> RET=HDRS MT-PRIORITY=4 BY=60;R\r\nRCPT TO:<b@c.example>\r\nDATA\r\n.\r\n`,
    )
    expect(replies).toContain('250-DSN\r\n250-MT-PRIORITY\r\n250 DELIVERBY 30\r\n')
    expect(envelopes[0]).toMatchObject({ ret: 'HDRS', priority: 4, deliverBy: { mode: 'return', trace: false } })
  })

  test('are not offered twice', () => {
    expect(() => serverWith([dsn, dsn])).toThrow('extensions: "DSN" is not given only once')
  })
})

describe('disabled', () => {
  test.each([
    ['CHUNKING', 'BDAT 0 LAST\r\n', '502 5.5.1'],
    ['VRFY', 'VRFY x\r\n', '502 5.5.1'],
    ['SIZE', 'MAIL FROM:<> SIZE=1\r\n', '555 5.5.4'],
    ['8BITMIME', 'MAIL FROM:<> BODY=7BIT\r\n', '555 5.5.4'],
    ['SMTPUTF8', 'MAIL FROM:<> SMTPUTF8\r\n', '555 5.5.4'],
    ['DSN', 'MAIL FROM:<> RET=FULL\r\n', '555 5.5.4'],
  ])('%s is not offered, and is refused', async (keyword, line, code) => {
    const replies = await converse(serverWith([], { disabled: [keyword] }).server, OPEN + line)
    expect(replies).not.toMatch(new RegExp(`^250[ -]${keyword}\\b`, 'm'))
    expect(replies).toContain(`\r\n${code} `)
  })

  test('an extension that the program adds is switched off too', async () => {
    const cookie: Extension = { keyword: 'XCOOKIE' }
    const { server } = serverWith([dsn, cookie], { disabled: ['DSN', 'XCOOKIE', 'FUTURERELEASE'] })
    expect(await converse(server, OPEN)).not.toMatch(/DSN|XCOOKIE/)
  })

  test('BINARYMIME is switched off with CHUNKING', async () => {
    const { server } = serverWith([], { disabled: ['CHUNKING'] })
    const replies = await converse(server, `${OPEN}MAIL FROM:<> BODY=BINARYMIME\r\n`)
    expect(replies).not.toContain('BINARYMIME')
    expect(replies).toContain('\r\n501 5.5.4 ')
  })
})

describe('mistakes are found at start', () => {
  test.each<[string, Partial<ServerOptions>]>([
    ['hostname', { hostname: 'not a host' }],
    ['limits.maxMessageBytes', { limits: { maxMessageBytes: 0 } }],
    ['limits.idleTimeoutMs', { limits: { idleTimeoutMs: Number.NaN } }],
    ['limits.maxRecipients', { limits: { maxRecipients: 1.5 } }],
    ['limits.maxReceivedFields', { limits: { maxReceivedFields: 0 } }],
    ['limits.maxTransactions', { limits: { maxTransactions: 0 } }],
    ['limits.maxRecipientDomains', { limits: { maxRecipientDomains: -1 } }],
    ['limits.maxLines', { limits: { maxLines: 1 } as never }],
    ['banner', { banner: 'two\r\nlines' }],
    ['helloText', { helloText: 'two\r\nlines' }],
    ['auth.requiredText', { auth: { authenticate: () => undefined, requiredText: 'two\r\nlines' } }],
    ['disabled', { disabled: ['MAIL'] }],
    ['bareLineEndings', { bareLineEndings: 'accept' as never }],
    ['addresses', { addresses: 'any' as never }],
    ['greetingDelayMs', { greetingDelayMs: -1 }],
    ['extensions', { extensions: [{ keyword: 'lower' }] }],
    ['extensions', { extensions: [{ keyword: 'SIZE' }] }],
    ['auth.mechanisms', { auth: { mechanisms: ['CRAM-MD5' as never], authenticate: () => undefined } }],
  ])('%s', (field, options) => {
    expect(() => createServer({ hostname: 'mx.example.com', ...options })).toThrow(OptionError)
    expect(() => createServer({ hostname: 'mx.example.com', ...options })).toThrow(`${field}: `)
  })
})
