/** SASL mechanisms and accounts of an embedder, through the public interface. */
import { createHmac } from 'node:crypto'
import {
  type Accounts,
  type AuthOptions,
  createServer,
  type Duplex,
  type EndedExchange,
  type Mechanism,
  OptionError,
  reply,
  type ServerOptions,
  type TlsInfo,
} from '@postern/engine'
import { type ClientMechanism, type ClientOptions, MechanismError, openClient } from '@postern/engine/client'
import { pair } from '@postern/runtime/memory'
import { describe, expect, test } from 'vitest'
import { DuplexClient } from '../kit/client/duplex-client.ts'
import { scramKeysOf } from '../kit/scram.ts'
import { converse } from './dialogue.ts'

const NONCE = '<1896.697170952@postern.example>'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function proof(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('hex')
}

/** Both sides prove in three rounds that they know a secret, without sending it. The accounts answer later. */
const mutual: Mechanism = {
  name: 'X-MUTUAL',
  showsPassword: false,
  isSupported: (accounts) => accounts.sharedSecret !== undefined,
  start(accounts) {
    let username: string | undefined
    let isProven = false
    return {
      async next(response) {
        if (response === undefined) return { challenge: encoder.encode(NONCE) }
        if (isProven) return response.length === 0 ? { user: username ?? '' } : { isMalformed: true }
        const [name = '', given, ...rest] = decoder.decode(response).split(' ')
        if (given === undefined || rest.length > 0) return { isMalformed: true }
        const secret = await accounts.sharedSecret?.(name)
        if (secret === undefined) return { isRefused: true, reply: reply(535, '5.7.8', 'Who are you?') }
        if (given !== proof(secret, NONCE)) return { isRefused: true }
        username = name
        isProven = true
        return { challenge: encoder.encode(proof(secret, name)) }
      },
    }
  },
}

/** Accounts as a class, whose methods need `this`. */
class Secrets implements Accounts {
  readonly #secrets = new Map([['jane', 'tanstaaftanstaaf']])

  async sharedSecret(username: string): Promise<string | undefined> {
    if (username === 'broken') throw new Error('the database is down')
    return this.#secrets.get(username)
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const JANE = base64(`jane ${proof('tanstaaftanstaaf', NONCE)}`)

interface Outcome {
  readonly replies: string
  readonly users: (string | undefined)[]
  readonly errors: string[]
  readonly refused: string[]
}

async function outcomeOf(
  auth: AuthOptions,
  lines: readonly string[],
  options: Partial<ServerOptions> = {},
): Promise<Outcome> {
  const users: (string | undefined)[] = []
  const errors: string[] = []
  const refused: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    auth,
    mail(_, { user }) {
      users.push(user)
    },
    error: (error) => errors.push(String(error)),
    refused: ({ verb, reply, byHook }) => refused.push(`${verb} ${reply.code} ${byHook}`),
    ...options,
  })
  const all = ['EHLO client.example', ...lines, 'MAIL FROM:<>']
  return { replies: await converse(server, all.map((line) => `${line}\r\n`).join('')), users, errors, refused }
}

const MUTUAL: AuthOptions = { mechanisms: [mutual], accounts: new Secrets() }
const AUTH = 'AUTH X-MUTUAL'

describe('a mechanism of several rounds, whose accounts answer later', () => {
  test('logs the client in', async () => {
    const { replies, users } = await outcomeOf(MUTUAL, [AUTH, JANE, ''])
    expect(replies).toContain('AUTH X-MUTUAL\r\n')
    const ours = base64(proof('tanstaaftanstaaf', 'jane'))
    expect(replies).toContain(`\r\n334 ${base64(NONCE)}\r\n334 ${ours}\r\n235 2.7.0 `)
    expect(users).toEqual(['jane'])
  })

  test('accepts an initial response, also an empty one', async () => {
    const { replies, users } = await outcomeOf(MUTUAL, [`${AUTH} ${JANE}`, ''])
    expect(replies).toMatch(/\r\n334 [^\r]+\r\n235 2\.7\.0 /)
    expect(users).toEqual(['jane'])
    expect((await outcomeOf(MUTUAL, [`${AUTH} =`])).replies).toContain('\r\n501 5.5.2 Not a valid response\r\n')
  })

  test.each<[string, string[], string, string[]]>([
    ['a wrong proof', [AUTH, base64('jane abc')], '535 5.7.8 Authentication', ['AUTH 535 true']],
    [
      'a stranger, with a reply of the accounts',
      [AUTH, base64('joe abc')],
      '535 5.7.8 Who are you?',
      ['AUTH 535 true'],
    ],
    ['a malformed response', [AUTH, base64('jane')], '501 5.5.2 Not a valid response', ['AUTH 501 false']],
    ['a response that is not base64', [AUTH, 'jane!'], '501 5.5.2 Not a valid response', ['AUTH 501 false']],
    ['a client that gives up', [AUTH, JANE, '*'], '501 5.7.0 Authentication cancelled', ['AUTH 501 false']],
  ])('refuses %s', async (_, lines, answer, told) => {
    const { replies, users, refused } = await outcomeOf(MUTUAL, lines)
    expect(replies).toContain(`\r\n${answer}`)
    expect(users).toEqual([undefined])
    expect(refused).toEqual(told)
  })

  test('that throws gets 454, and its error is reported', async () => {
    const { replies, users, errors } = await outcomeOf(MUTUAL, [AUTH, base64('broken abc')])
    expect(replies).toContain('\r\n454 4.7.0 ')
    expect(users).toEqual([undefined])
    expect(errors).toEqual(['Error: the database is down'])
  })

  test.each([
    undefined,
    null,
    {},
    { user: '' },
    { isRefused: false },
    { isRefused: true, reply: reply(250, '', 'OK') },
  ])('logs no client in by an invalid step: %j', async (step) => {
    const odd: Mechanism = { ...mutual, start: () => ({ next: () => step as never }) }
    const { replies, users, errors } = await outcomeOf({ ...MUTUAL, mechanisms: [odd] }, [AUTH])
    expect(replies).toContain('\r\n454 4.7.0 ')
    expect(users).toEqual([undefined])
    expect(errors).toEqual(['TypeError: a mechanism answers with a challenge, a user, isRefused or isMalformed'])
  })

  test('that never ends is refused after its challenges, and the client is disconnected after its failed logins', async () => {
    let rounds = 0
    const endless: Mechanism = {
      ...mutual,
      start: () => ({ next: () => ({ challenge: encoder.encode(`${++rounds}`) }) }),
    }
    const limits = { maxAuthChallenges: 3, maxFailedAuths: 2 }
    const auth = { ...MUTUAL, mechanisms: [endless] }
    const lines = [AUTH, '', '', '', AUTH, '', '', '']
    const { replies, users, errors, refused } = await outcomeOf(auth, lines, { limits })
    const challenges = (...numbers: number[]): string => numbers.map((n) => `334 ${base64(`${n}`)}\r\n`).join('')
    const [, exchanges = ''] = /\r\n(334 [\s\S]*)$/.exec(replies) ?? []
    expect(exchanges).toBe(
      `${challenges(1, 2, 3)}501 5.7.0 Authentication takes too many steps\r\n` +
        `${challenges(5, 6, 7)}421 4.7.0 Too many failed authentications\r\n`,
    )
    expect({ users, errors, refused }).toEqual({ users: [], errors: [], refused: ['AUTH 501 false', 'AUTH 421 false'] })
  })

  test('may have as many challenges in each login as the limit says', async () => {
    const limits = { maxAuthChallenges: 2 }
    const lines = [AUTH, JANE, '*', AUTH, JANE, '']
    const { replies, users } = await outcomeOf(MUTUAL, lines, { limits })
    expect(replies).toMatch(/\r\n501 5\.7\.0 Authentication cancelled\r\n334 [^\r]+\r\n334 [^\r]+\r\n235 2\.7\.0 /)
    expect(users).toEqual(['jane'])
  })

  test('gets no more time than a hook', async () => {
    const slow: Mechanism = { ...mutual, start: () => ({ next: () => new Promise(() => {}) }) }
    const limits = { hookTimeoutMs: 50 }
    const { replies, users, errors } = await outcomeOf({ ...MUTUAL, mechanisms: [slow] }, [AUTH], { limits })
    expect(replies).toContain('\r\n454 4.7.0 ')
    expect(users).toEqual([undefined])
    expect(errors).toEqual(['HookTimeoutError: timed out: a hook has not answered'])
  })
})

describe('the offered mechanisms follow from the accounts', () => {
  const offer = async (auth: AuthOptions): Promise<string | undefined> =>
    /^250[ -](AUTH.*)\r$/m.exec((await outcomeOf(auth, [])).replies)?.[1]

  test('PLAIN and LOGIN are offered for accounts with passwords alone', async () => {
    const accounts: Accounts = { checkPassword: ({ username }) => ({ user: username }) }
    expect(await offer({ accounts, allowWithoutTls: true })).toBe('AUTH PLAIN LOGIN')
    const { users } = await outcomeOf({ accounts, allowWithoutTls: true }, [`AUTH PLAIN ${base64('\0joe\0x')}`])
    expect(users).toEqual(['joe'])
  })

  test('both kinds are offered if `authenticate` checks passwords', async () => {
    const auth: AuthOptions = {
      ...MUTUAL,
      mechanisms: ['PLAIN', mutual],
      authenticate: ({ username }, session) => ({ user: `${username} of ${session.hello?.name}` }),
    }
    expect(await offer(auth)).toBe('AUTH X-MUTUAL')
    expect(await offer({ ...auth, allowWithoutTls: true })).toBe('AUTH PLAIN X-MUTUAL')
    const plain = await outcomeOf({ ...auth, allowWithoutTls: true }, [`AUTH PLAIN ${base64('\0joe\0x')}`])
    expect(plain.users).toEqual(['joe of client.example'])
    expect((await outcomeOf(auth, [`${AUTH} ${JANE}`, ''])).users).toEqual(['jane'])
  })

  test.each<[string, AuthOptions]>([
    ['auth.mechanisms: "X-MUTUAL"', { mechanisms: [mutual], authenticate: () => undefined }],
    ['auth.mechanisms: "PLAIN"', { mechanisms: ['PLAIN'], accounts: new Secrets() }],
    ['auth.mechanisms: "x lower"', { mechanisms: [{ ...mutual, name: 'x lower' }], accounts: new Secrets() }],
    ['auth.mechanisms: "DIGEST-MD5"', { mechanisms: ['DIGEST-MD5' as never], accounts: new Secrets() }],
    ['auth.mechanisms: "SCRAM-SHA-256"', { mechanisms: ['SCRAM-SHA-256'], accounts: new Secrets() }],
    ['auth.authenticate: undefined is not a function', { accounts: {} }],
  ])('a mistake in the options throws at start: %s', (message, auth) => {
    expect(() => createServer({ hostname: 'mx.example.com', auth })).toThrow(OptionError)
    expect(() => createServer({ hostname: 'mx.example.com', auth })).toThrow(message)
  })
})

describe('a mechanism that needs something of the connection', () => {
  const accounts: Accounts = {
    certificateUser: ({ subject }) => ({ user: subject }),
    scramKeys: (username) => (username === 'jane' ? scramKeysOf('tiger', Uint8Array.of(1), 4096) : undefined),
  }
  const certificate = { subject: 'CN=jane', issuer: 'CN=ca', fingerprint: '00', verified: true }
  const channel = Uint8Array.of(1, 2, 3)

  /** Sends the lines on a connection with these facts. Returns the replies, and how each exchange ended. */
  async function over(
    facts: Partial<Pick<Duplex, 'tls' | 'channelBinding'>>,
    lines: readonly string[],
  ): Promise<{ replies: string; ended: EndedExchange[] }> {
    const ended: EndedExchange[] = []
    const auth: AuthOptions = { accounts, ended: (exchange) => void ended.push(exchange) }
    const [far, near] = pair()
    const client = new DuplexClient(far)
    const served = createServer({ hostname: 'mx.example.com', auth }).accept(Object.assign(near, facts))
    void client.send(['EHLO client.example', ...lines, 'QUIT'].map((line) => `${line}\r\n`).join(''))
    client.end()
    const replies = await client.repliesToEnd()
    await served
    return { replies: replies.map(({ raw }) => raw).join(''), ended }
  }

  const TLS: TlsInfo = { protocol: 'TLSv1.3', cipher: '' }

  test.each<[string, Partial<Pick<Duplex, 'tls' | 'channelBinding'>>, string]>([
    ['in clear', {}, 'SCRAM-SHA-256'],
    ['under TLS', { tls: TLS }, 'SCRAM-SHA-256'],
    [
      'with a certificate that was verified',
      { tls: { ...TLS, peerCertificate: certificate } },
      'EXTERNAL SCRAM-SHA-256',
    ],
    [
      'with another certificate',
      { tls: { ...TLS, peerCertificate: { ...certificate, verified: false } } },
      'SCRAM-SHA-256',
    ],
    ['with channel binding', { tls: TLS, channelBinding: () => channel }, 'SCRAM-SHA-256-PLUS SCRAM-SHA-256'],
  ])('is offered only where that is: %s', async (_, facts, offered) => {
    const { replies } = await over(facts, ['AUTH SCRAM-SHA-256-PLUS', '*', 'AUTH EXTERNAL ='])
    expect(/^250[ -]AUTH (.*)\r$/m.exec(replies)?.[1]).toBe(offered)
    const missing = ['EXTERNAL', 'PLUS'].filter((name) => !offered.includes(name))
    expect(replies.match(/^504 5\.5\.4 /gm)?.length ?? 0).toBe(missing.length)
    expect(replies.includes('235 2.7.0 ')).toBe(offered.includes('EXTERNAL'))
  })

  test('tells how each exchange ended', async () => {
    const clients = ['n,,n=jane,r=x', 'n,,n=eve,r=x', 'bad'].map((first) => `AUTH SCRAM-SHA-256 ${base64(first)}`)
    const { ended } = await over({ tls: { ...TLS, peerCertificate: certificate } }, [
      clients[0] ?? '',
      '*',
      clients[1] ?? '',
      base64(`c=biws,r=x,p=${'A'.repeat(43)}=`),
      clients[2] ?? '',
      'AUTH EXTERNAL =',
    ])
    expect(ended).toEqual([
      { mechanism: 'SCRAM-SHA-256', outcome: 'given-up' },
      { mechanism: 'SCRAM-SHA-256', outcome: 'refused' },
      { mechanism: 'SCRAM-SHA-256', outcome: 'given-up' },
      { mechanism: 'EXTERNAL', outcome: 'accepted', user: 'CN=jane' },
    ])
  })

  test('tells of an exchange whose client left', async () => {
    const [far, near] = pair()
    const client = new DuplexClient(far)
    const ended: EndedExchange[] = []
    const auth: AuthOptions = { accounts, ended: (exchange) => void ended.push(exchange) }
    const served = createServer({ hostname: 'mx.example.com', auth }).accept(near)
    void client.send(`EHLO client.example\r\nAUTH SCRAM-SHA-256 ${base64('n,,n=jane,r=x')}\r\n`)
    client.end()
    await client.repliesToEnd()
    await served
    expect(ended).toEqual([{ mechanism: 'SCRAM-SHA-256', outcome: 'given-up' }])
  })
})

describe("a mechanism of one's own on the client's side", () => {
  const theirs: Mechanism = {
    name: 'ANONYMOUS',
    showsPassword: false,
    isSupported: () => true,
    start: () => ({
      next: (response) =>
        response === undefined ? { challenge: new Uint8Array(0) } : { user: `anonymous ${decoder.decode(response)}` },
    }),
  }
  const ours: ClientMechanism = {
    name: 'ANONYMOUS',
    showsSecret: false,
    isSupported: () => true,
    start: () => ({
      initial: () => encoder.encode('guest'),
      next() {
        throw new MechanismError('the server asks for more than a name')
      },
    }),
  }

  /** Sends a message, and returns the user whom the server sees. */
  async function opened(mechanism: Mechanism, options: Partial<ClientOptions>): Promise<string | undefined> {
    let user: string | undefined
    const server = createServer({
      hostname: 'mx.example.com',
      auth: { mechanisms: [mechanism], authenticate: () => undefined },
      data: (_, session) => void (user = session.user),
    })
    const [near, far] = pair()
    void server.accept(near)
    const client = await openClient(far, { hostname: 'client.example.com', credentials: {}, ...options })
    await client.send({ reversePath: 'a@example.com', forwardPaths: ['b@example.com'] }, 'Subject: x\r\n\r\nx\r\n')
    await client.quit()
    return user
  }

  test('logs the client in', async () => {
    expect(await opened(theirs, { mechanisms: ['PLAIN', ours] })).toBe('anonymous guest')
  })

  test('ends the login if it throws, and the client says why', async () => {
    const asking: Mechanism = { ...theirs, start: () => ({ next: () => ({ challenge: encoder.encode('and?') }) }) }
    await expect(opened(asking, { mechanisms: [ours] })).rejects.toMatchObject({
      reason: 'login',
      stage: 'auth',
      message: 'the login by ANONYMOUS failed: the server asks for more than a name',
    })
  })
})
