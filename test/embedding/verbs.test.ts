/** Verbs of an embedder's extension that change the session: one like XCLIENT, and one like EHLO. */
import {
  addressRanges,
  createServer,
  type Endpoint,
  type Extension,
  OptionError,
  reply,
  type Server,
  type ServerOptions,
  type Session,
  xclient,
  xforward,
} from '@postern/engine'
import { pair, type PairOptions } from '@postern/runtime/memory'
import { describe, expect, test } from 'vitest'
import { DuplexClient } from '../kit/client/duplex-client.ts'
import { converse } from './dialogue.ts'

const HOSTNAME = 'mx.example.com'
const MAIL = 'MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n'

/** Like XCLIENT of Postfix: a trusted proxy names the client, and the session begins again. */
const clientIs: Extension = {
  keyword: 'XCLIENTIS',
  advertise: () => 'ADDR LOGIN',
  commands: {
    XCLIENTIS: {
      beforeTls: true,
      beforeAuth: true,
      inTransaction: false,
      effect: 'restart',
      handle(argument, _, change) {
        for (const [key, value = ''] of argument.split(' ').map((pair) => pair.split('='))) {
          if (key === 'ADDR') change.remote = { family: 'ipv4', address: value, port: 0 } satisfies Endpoint
          else if (key === 'LOGIN') change.user = value
          else if (key === 'NAME') change.reverseDns = { result: 'pass', name: value }
          else return reply(501, '5.5.4', 'ADDR, LOGIN and NAME only')
        }
      },
    },
  },
}

/** EHLO with another name. */
const xhlo: Extension = {
  keyword: 'XHELLO',
  commands: { XHLO: { beforeAuth: true, effect: 'hello', handle: () => undefined } },
}

/** Like RSET, but it answers later. */
const forget: Extension = {
  keyword: 'XFORGET',
  commands: {
    XFORGET: {
      effect: 'reset',
      handle: async (argument) => (argument === 'not' ? reply(450, '4.7.0', 'Keep it') : undefined),
    },
  },
}

interface Seen {
  readonly server: Server
  readonly told: string[]
}

function serverWith(extensions: readonly Extension[], options: Partial<ServerOptions> = {}): Seen {
  const told: string[] = []
  const tell = (what: string, { hello, remote, user }: Session): void => {
    told.push(`${what} ${remote.address} ${hello?.verb ?? '-'} ${user ?? '-'}`)
  }
  const server = createServer({
    hostname: HOSTNAME,
    extensions,
    connect: (session) => tell('connect', session),
    hello: (_, session) => tell('hello', session),
    mail: (_, session) => tell('mail', session),
    reset: (session) => tell('reset', session),
    data: () => undefined,
    ...options,
  })
  return { server, told }
}

const CLIENT: Endpoint = { family: 'ipv4', address: '192.0.2.1', port: 1 }
const SERVER: Endpoint = { family: 'ipv4', address: '192.0.2.2', port: 25 }
const OPTIONS: PairOptions = { endpoints: [CLIENT, SERVER] }

function codes(replies: string): string[] {
  return replies
    .split('\r\n')
    .filter((line) => /^\d{3} /.test(line))
    .map((line) => /^\d{3}(?: \d\.\d\.\d)?/.exec(line)?.[0] ?? line)
}

/** Sends these lines as a client of 192.0.2.1. Returns the replies, and what the hooks saw. */
async function dialogue(seen: Seen, ...lines: string[]): Promise<string[]> {
  return codes(await converse(seen.server, lines.map((line) => `${line}\r\n`).join(''), OPTIONS))
}

describe('a verb like XCLIENT', () => {
  test('makes the session another client’s, as it was before its greeting', async () => {
    const seen = serverWith([clientIs])
    const replies = await converse(
      seen.server,
      `EHLO proxy.example\r\nXCLIENTIS ADDR=198.51.100.7\r\nMAIL FROM:<>\r\nEHLO client.example\r\n${MAIL}`,
      OPTIONS,
    )
    expect(codes(replies)).toEqual(['220', '250', '220', '503 5.5.1', '250', '250 2.1.0', '250 2.1.5'])
    expect(seen.told).toEqual([
      'connect 192.0.2.1 - -',
      'hello 192.0.2.1 - -',
      'connect 198.51.100.7 - -',
      'hello 198.51.100.7 - -',
      'mail 198.51.100.7 EHLO -',
    ])
  })

  test('removes what DNS said about the old client, or brings what it says about the new one', async () => {
    const names: (string | undefined)[] = []
    const options: Partial<ServerOptions> = {
      connect: (session) => {
        names.push(session.reverseDns?.name)
        session.reverseDns ??= { result: 'pass', name: `host-of-${session.remote.address}.example` }
      },
      mail: (_, { reverseDns }) => void names.push(reverseDns?.name),
    }
    const lines = ['EHLO a.example', 'XCLIENTIS ADDR=198.51.100.7', 'EHLO a.example', 'MAIL FROM:<>', 'RSET']
    await dialogue(serverWith([clientIs], options), ...lines, 'XCLIENTIS ADDR=198.51.100.8 NAME=mx.example')
    expect(names).toEqual([undefined, undefined, 'host-of-198.51.100.7.example', 'mx.example'])
  })

  test('logs the client in, and a later one logs it out', async () => {
    const seen = serverWith([clientIs], { auth: { required: true, authenticate: () => undefined } })
    const lines = ['EHLO a.example', 'MAIL FROM:<>', 'XCLIENTIS LOGIN=jane', 'EHLO a.example', 'MAIL FROM:<>', 'RSET']
    const answers = await dialogue(seen, ...lines, 'XCLIENTIS ADDR=198.51.100.7', 'EHLO a.example', 'MAIL FROM:<>')
    const first = ['220', '250', '530 5.7.0', '220', '250', '250 2.1.0', '250 2.0.0']
    expect(answers).toEqual([...first, '220', '250', '530 5.7.0'])
    expect(seen.told.filter((line) => line.startsWith('mail'))).toEqual(['mail 192.0.2.1 EHLO jane'])
  })

  test('changes nothing if it is refused, by its handler or by the transaction in progress', async () => {
    const seen = serverWith([clientIs])
    const answers = await dialogue(
      seen,
      'EHLO a.example',
      'XCLIENTIS ADDR=198.51.100.7 COLOUR=red',
      'MAIL FROM:<>',
      'XCLIENTIS ADDR=198.51.100.7',
      'RCPT TO:<b@c.example>',
    )
    expect(answers).toEqual(['220', '250', '501 5.5.4', '250 2.1.0', '503 5.5.1', '250 2.1.5'])
    expect(seen.told.at(-1)).toBe('mail 192.0.2.1 EHLO -')
  })

  test('ends the session if the connect hook does not want that client', async () => {
    const seen = serverWith([clientIs], {
      connect: ({ remote }) => (remote.address === '198.51.100.7' ? reply(554, '5.7.1', 'Not you') : undefined),
    })
    const answers = await dialogue(seen, 'EHLO a.example', 'XCLIENTIS ADDR=198.51.100.7', 'EHLO a.example')
    expect(answers).toEqual(['220', '250', '554 5.7.1'])
  })

  test('may come before required TLS only if its rules say so', async () => {
    const required = { tls: { required: true } }
    expect(await dialogue(serverWith([clientIs], required), 'XCLIENTIS ADDR=198.51.100.7')).toEqual(['220', '220'])
    expect(await dialogue(serverWith([xhlo], required), 'XHLO a.example')).toEqual(['220', '530 5.7.0'])
  })
})

describe('a verb like XHLO', () => {
  test('is a greeting: it opens the session, and its reply lists the extensions', async () => {
    const seen = serverWith([xhlo])
    const text = `MAIL FROM:<>\r\nXHLO client.example\r\n${MAIL}DATA\r\n.\r\n`
    const replies = await converse(seen.server, text, OPTIONS)
    expect(codes(replies)).toEqual(['220', '503 5.5.1', '250', '250 2.1.0', '250 2.1.5', '354', '250 2.0.0'])
    expect(replies).toContain('\r\n250-mx.example.com\r\n250-PIPELINING\r\n')
    expect(seen.told).toEqual(['connect 192.0.2.1 - -', 'hello 192.0.2.1 - -', 'mail 192.0.2.1 EHLO -'])
  })

  test('gives up a transaction, and is refused without a name or by the hello hook', async () => {
    const seen = serverWith([xhlo])
    expect(await dialogue(seen, 'XHLO a.example', 'MAIL FROM:<>', 'XHLO b.example', 'RCPT TO:<c@d.example>')).toEqual([
      '220',
      '250',
      '250 2.1.0',
      '250',
      '503 5.5.1',
    ])
    expect(seen.told.at(-1)).toBe('reset 192.0.2.1 EHLO -')
    expect(await dialogue(seen, 'XHLO', 'XHLO a@b', 'MAIL FROM:<>')).toEqual([
      '220',
      ...Array(2).fill('501 5.5.2'),
      '503 5.5.1',
    ])
    const picky = serverWith([xhlo], { hello: () => reply(550, '5.7.1', 'No') })
    expect(await dialogue(picky, 'XHLO a.example', 'MAIL FROM:<>')).toEqual(['220', '550 5.7.1', '503 5.5.1'])
  })
})

test('a verb like RSET gives up the transaction if it is accepted, also later', async () => {
  const seen = serverWith([forget])
  const rcpt = 'RCPT TO:<b@c.example>'
  const answers = await dialogue(seen, 'EHLO a.example', 'MAIL FROM:<>', 'XFORGET not', rcpt, 'XFORGET', rcpt)
  expect(answers).toEqual(['220', '250', '250 2.1.0', '450 4.7.0', '250 2.1.5', '250 2.0.0', '503 5.5.1'])
  expect(seen.told.at(-1)).toBe('reset 192.0.2.1 EHLO -')
})

describe('the built-in XCLIENT and XFORWARD', () => {
  const trusted = addressRanges(['192.0.2.1', '10.0.0.0/8'])
  const options = { extensions: [xclient({ trusted }), xforward({ trusted })] }
  const server = createServer({ hostname: HOSTNAME, data: () => undefined, ...options })
  const other: PairOptions = { endpoints: [{ ...CLIENT, address: '198.51.100.7' }, SERVER] }

  test('are on offer to trusted clients alone', async () => {
    const ehlo = 'EHLO a.example\r\nQUIT\r\n'
    const offered = await converse(server, ehlo, OPTIONS)
    expect(offered).toContain('XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n')
    expect(offered).toContain('XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n')
    expect(await converse(server, ehlo, other)).not.toMatch(/XCLIENT|XFORWARD/)
  })

  test('are not on offer any more once the trusted client has named another, who may pass on its own bytes', async () => {
    const text = [
      'XCLIENT ADDR=198.51.100.7',
      'EHLO a.example',
      'XCLIENT LOGIN=root',
      'XFORWARD NAME=x',
      'QUIT',
      '',
    ].join('\r\n')
    const replies = await converse(server, text, OPTIONS)
    expect(codes(replies)).toEqual(['220', '220', '250', '550 5.7.0', '550 5.7.0', '221 2.0.0'])
    expect(replies).not.toMatch(/XCLIENT NAME|XFORWARD NAME/)
  })

  test('stay on offer if the client that is named is trusted too, or if none is named', async () => {
    const text = [
      'XCLIENT LOGIN=ann',
      'XCLIENT ADDR=10.0.0.9',
      'XCLIENT ADDR=192.0.2.9',
      'XCLIENT LOGIN=root',
      'QUIT',
      '',
    ]
    const replies = await converse(server, text.join('\r\n'), OPTIONS)
    expect(codes(replies)).toEqual(['220', '220', '220', '220', '550 5.7.0', '221 2.0.0'])
  })

  test('trust the client of a PROXY header, not the proxy', async () => {
    const [far, accepted] = pair(OPTIONS)
    const client = new DuplexClient(far)
    void server.accept(accepted, { proxyProtocol: { trusted } })
    void client.send('PROXY TCP4 198.51.100.7 192.0.2.2 1 25\r\nXCLIENT LOGIN=root\r\nQUIT\r\n')
    client.end()
    expect((await client.repliesToEnd()).map(({ code }) => code)).toEqual([220, 550, 221])
  })
})

test('an unknown effect throws at start', () => {
  const commands = { XODD: { effect: 'explode' as never, handle: () => undefined } }
  expect(() => createServer({ hostname: HOSTNAME, extensions: [{ keyword: 'XODD', commands }] })).toThrow(OptionError)
})
