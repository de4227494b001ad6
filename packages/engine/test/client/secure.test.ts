/** STARTTLS and logins: what the client says in clear, and what it never says. */
import type { Duplex, ServerOptions } from '@postern/engine'
import {
  type Client,
  ClientError,
  type ClientMechanism,
  type ClientOptions,
  MechanismError,
  openClient,
} from '@postern/engine/client'
import { describe, expect, test } from 'vitest'
import { octets } from '../protocol.ts'
import { counted, cutAt, house, type Link, wrapped } from './house.ts'
import { type Step, scripted } from './scripted.ts'

const GREET = '220 mx.example.com\r\n'
const EHLO: Step = { waitFor: 'EHLO client.example.com\r\n' }
const STARTTLS: Step = { waitFor: 'STARTTLS\r\n' }
const OFFER = '250-mx.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN TEST\r\n'
const SECURE = '250-mx.example.com\r\n250 AUTH PLAIN TEST\r\n'
const HANDSHAKE: Step = { act: 'startTls' }
const CREDENTIALS = { username: 'alice', password: 'secret' }
/** What the client says before it shows anything. */
const HELLO = 'EHLO client.example.com\r\n'

interface Opened {
  readonly client?: Client
  readonly error?: ClientError
  readonly received: string
}

/** Opens a client against a script, and quits. */
async function open(script: readonly Step[], options: Partial<ClientOptions> = {}, canTls = true): Promise<Opened> {
  const { duplex, received } = scripted(script, { startTls: canTls })
  try {
    const client = await openClient(duplex, { hostname: 'client.example.com', ...options })
    client.destroy()
    return { client, received: await received }
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    return { error, received: await received }
  }
}

describe('STARTTLS', () => {
  test('the client greets again under TLS, and forgets what was said in clear', async () => {
    const later = '250-mx.example.com\r\n250 SIZE 7\r\n'
    const { client, received } = await open([GREET, EHLO, OFFER, STARTTLS, GREET, HANDSHAKE, EHLO, later])
    expect(received).toBe(`${HELLO}STARTTLS\r\n${HELLO}`)
    expect(client?.tls?.protocol).toBe('TLSv1.3')
    expect([...(client?.server.extensions.keys() ?? [])]).toEqual(['SIZE'])
  })

  test.each<[string, readonly Step[], Partial<ClientOptions>, string]>([
    ['does not offer it', [GREET, EHLO, SECURE], { startTls: 'required' }, 'tls starttls'],
    [
      'knows only HELO',
      [GREET, EHLO, '500 No\r\n', { waitFor: 'HELO ' }, SECURE],
      { startTls: 'required' },
      'tls starttls',
    ],
    ['refuses it', [GREET, EHLO, OFFER, STARTTLS, '454 4.7.0 Later\r\n'], { startTls: 'required' }, 'tls starttls 454'],
    ['refuses it for good', [GREET, EHLO, OFFER, STARTTLS, '502 No\r\n'], { startTls: 'required' }, 'tls starttls 502'],
    ['answers it with 250', [GREET, EHLO, OFFER, STARTTLS, '250 OK\r\n'], {}, 'protocol starttls'],
    ['sends more behind its 220', [GREET, EHLO, OFFER, STARTTLS, `${GREET}250 injected\r\n`], {}, 'protocol starttls'],
    ['sends more in a packet of its own', [GREET, EHLO, OFFER, STARTTLS, GREET, '250 x\r\n'], {}, 'protocol starttls'],
    ['closes in the handshake', [GREET, EHLO, OFFER, STARTTLS, GREET, { act: 'end' }], {}, 'tls starttls'],
    [
      'hangs in the handshake',
      [GREET, EHLO, OFFER, STARTTLS, GREET],
      { timeouts: { startTlsMs: 5 } },
      'timeout starttls',
    ],
    [
      'closes after the handshake',
      [GREET, EHLO, OFFER, STARTTLS, GREET, HANDSHAKE, EHLO, { act: 'end' }],
      {},
      'closed hello',
    ],
  ])('nothing but EHLO and STARTTLS is said to a server that %s', async (_what, script, options, becomes) => {
    const { error, received } = await open(script, { credentials: CREDENTIALS, ...options })
    expect([error?.reason, error?.stage, error?.code].filter(Boolean).join(' ')).toBe(becomes)
    expect(error?.isTemporary).toBe(true)
    expect(received.replaceAll(/^(?:EHLO|HELO) client\.example\.com\r\n|^STARTTLS\r\n/gm, '')).toBe('')
  })

  test('a refusal is no matter if TLS is not required', async () => {
    const { client, received } = await open([GREET, EHLO, OFFER, STARTTLS, '454 4.7.0 Later\r\n'])
    expect(client?.tls).toBeUndefined()
    expect(received).toBe(`${HELLO}STARTTLS\r\n`)
  })

  test('a connection that cannot become TLS does not ask', async () => {
    expect((await open([GREET, EHLO, OFFER], {}, false)).received).toBe(HELLO)
    expect((await open([GREET, EHLO, OFFER], { startTls: 'never' })).received).toBe(HELLO)
    expect((await open([GREET, EHLO, OFFER], { startTls: 'required' }, false)).error?.reason).toBe('tls')
  })
})

describe('verifyServer', () => {
  const SCRIPT = [GREET, EHLO, OFFER, STARTTLS, GREET, HANDSHAKE, EHLO, SECURE]
  const refuse = (): void => {
    throw new Error('another server\nis meant')
  }

  test('gets what TLS tells of the server, before the client greets again', async () => {
    const seen: unknown[] = []
    const { client, received } = await open(SCRIPT, {
      verifyServer: ({ tls, certificates }) => void seen.push(tls.protocol, certificates),
    })
    expect(seen).toEqual(['TLSv1.3', []])
    expect(client?.tls?.protocol).toBe('TLSv1.3')
    expect(received).toBe(`${HELLO}STARTTLS\r\n${HELLO}`)
  })

  test.each<[string, NonNullable<ClientOptions['verifyServer']>]>([
    ['throws', refuse],
    ['rejects', () => Promise.reject(new Error('another server\nis meant'))],
  ])('ends the connection if it %s, and nothing more is said', async (_what, verifyServer) => {
    const { error, received } = await open(SCRIPT, { credentials: CREDENTIALS, verifyServer })
    expect(error).toMatchObject({ reason: 'tls', stage: 'starttls', isTemporary: true })
    expect(error?.message).toBe('the server was not accepted: another server')
    expect(error?.cause).toBeInstanceOf(Error)
    expect(received).toBe(`${HELLO}STARTTLS\r\n`)
  })

  test('that never answers ends the connection when the time is over, or the caller ends it', async () => {
    const verifyServer = (): Promise<void> => new Promise(() => {})
    const { error, received } = await open(SCRIPT, { verifyServer, timeouts: { startTlsMs: 5 } })
    expect([error?.reason, error?.stage]).toEqual(['timeout', 'starttls'])
    expect(received).toBe(`${HELLO}STARTTLS\r\n`)
    const caller = new AbortController()
    const ended = await open(SCRIPT, {
      signal: caller.signal,
      verifyServer: () => {
        caller.abort()
        return verifyServer()
      },
    })
    expect(ended.error?.reason).toBe('aborted')
  })

  test('is asked under implicit TLS before the client says anything', async () => {
    const { duplex, received } = scripted([GREET])
    const secure = wrapped(duplex, { tls: { protocol: 'TLSv1.3', cipher: '' } })
    const error: unknown = await openClient(secure, { hostname: 'client.example.com', verifyServer: refuse }).catch(
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ reason: 'tls', stage: 'starttls' })
    expect(await received).toBe('')
  })

  test('is not asked in clear', async () => {
    expect((await open([GREET, EHLO, SECURE], { verifyServer: refuse })).error).toBeUndefined()
  })
})

/** A mechanism whose client responds with what the test says. */
function mechanism(own: Partial<ReturnType<ClientMechanism['start']>>, showsSecret = false): ClientMechanism {
  return {
    name: 'TEST',
    showsSecret,
    isSupported: () => true,
    start: () => ({ initial: () => undefined, next: (challenge) => challenge, ...own }),
  }
}

const AUTH: Step = { waitFor: 'AUTH TEST\r\n' }
const IN: readonly Step[] = [GREET, EHLO, SECURE]

describe('a login', () => {
  test.each<[string, readonly Step[], Partial<ReturnType<ClientMechanism['start']>>, string, string]>([
    [
      'with challenges',
      [AUTH, '334 eA==\r\n', { waitFor: 'eA==\r\n' }, '334 \r\n', { waitFor: '\r\n' }, '235 2.7.0 In\r\n'],
      {},
      'ok',
      'AUTH TEST\r\neA==\r\n\r\n',
    ],
    [
      'with an initial response',
      [{ waitFor: 'AUTH TEST eA==\r\n' }, '235 In\r\n'],
      { initial: () => octets('x') },
      'ok',
      'AUTH TEST eA==\r\n',
    ],
    [
      'with an empty initial response',
      [{ waitFor: 'AUTH TEST =\r\n' }, '235 In\r\n'],
      { initial: () => octets('') },
      'ok',
      'AUTH TEST =\r\n',
    ],
    [
      'with an initial response that is too long for the command',
      [AUTH, '334 \r\n', { waitFor: 'eHh4\r\n' }, '235 In\r\n'],
      { initial: () => octets('x'.repeat(600)) },
      'ok',
      `AUTH TEST\r\n${'eHh4'.repeat(200)}\r\n`,
    ],
    ['that is refused', [AUTH, '535 5.7.8 No\r\n'], {}, 'login auth 535', 'AUTH TEST\r\n'],
    ['that is refused for now', [AUTH, '454 4.7.0 Later\r\n'], {}, 'login auth 454 temporary', 'AUTH TEST\r\n'],
    ['that 421 ends', [AUTH, '421 4.7.0 Out\r\n', { act: 'end' }], {}, 'login auth 421 temporary', 'AUTH TEST\r\n'],
    ['that a wrong code answers', [AUTH, '250 OK\r\n'], {}, 'protocol auth temporary', 'AUTH TEST\r\n'],
    [
      'whose challenge is no base64',
      [AUTH, '334 ###\r\n', { waitFor: '*\r\n' }, '501 No\r\n'],
      {},
      'login auth',
      'AUTH TEST\r\n*\r\n',
    ],
    [
      'whose client finds the server wrong',
      [AUTH, '334 eA==\r\n', { waitFor: '*\r\n' }, '501 No\r\n'],
      {
        next: () => {
          throw new MechanismError('the signature is wrong')
        },
      },
      'login auth',
      'AUTH TEST\r\n*\r\n',
    ],
    [
      'whose server has not proved itself at the end',
      [AUTH, '235 In\r\n'],
      {
        succeeded: () => {
          throw new MechanismError('no proof')
        },
      },
      'login auth',
      'AUTH TEST\r\n',
    ],
  ])('%s', async (_what, script, exchange, becomes, said) => {
    const { error, received } = await open([...IN, ...script], {
      credentials: CREDENTIALS,
      mechanisms: [mechanism(exchange)],
      startTls: 'never',
    })
    const words = error && [error.reason, error.stage, error.code, error.isTemporary ? 'temporary' : undefined]
    expect(words?.filter(Boolean).join(' ') ?? 'ok').toBe(becomes)
    expect(received).toBe(HELLO + said)
  })

  test('has a bound for challenges that wait for responses', async () => {
    const rounds = Array.from({ length: 30 }, (): Step[] => ['334 eA==\r\n', { waitFor: '\r\n' }]).flat()
    const { error, received } = await open([...IN, AUTH, ...rounds], {
      credentials: CREDENTIALS,
      mechanisms: [mechanism({})],
      startTls: 'never',
    })
    expect(error?.reason).toBe('login')
    expect(received.split('eA==').length).toBeLessThan(25)
    expect(received.endsWith('\r\n*\r\n')).toBe(true)
  })

  test('does not show a secret in clear', async () => {
    const { error, received } = await open(IN, { credentials: CREDENTIALS, startTls: 'never' })
    expect(error).toMatchObject({ reason: 'login', stage: 'auth', isTemporary: false })
    expect(received).toBe(HELLO)
  })

  test('shows a secret in clear if it may', async () => {
    const script = [...IN, { waitFor: 'AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n' }, '235 In\r\n']
    const options = { credentials: CREDENTIALS, startTls: 'never', allowSecretInClear: true } as const
    expect((await open(script, options)).client?.isAuthenticated).toBe(true)
  })

  test('shows a secret under TLS', async () => {
    const script = [
      GREET,
      EHLO,
      OFFER,
      STARTTLS,
      GREET,
      HANDSHAKE,
      EHLO,
      SECURE,
      { waitFor: 'AUTH PLAIN ' },
      '235 In\r\n',
    ]
    expect((await open(script, { credentials: CREDENTIALS })).client?.user).toBe('alice')
  })

  test('asks for a new token once', async () => {
    const offer = '250-mx.example.com\r\n250 AUTH XOAUTH2\r\n'
    const refusal: readonly Step[] = [
      { waitFor: 'AUTH XOAUTH2 ' },
      '334 e30=\r\n',
      { waitFor: '\r\n' },
      '535 5.7.8 No\r\n',
    ]
    let asked = 0
    const credentials = { username: 'alice', accessToken: () => `token${++asked}` }
    const options = { credentials, startTls: 'never', allowSecretInClear: true } as const
    const again = await open([GREET, EHLO, offer, ...refusal, { waitFor: 'AUTH XOAUTH2 ' }, '235 In\r\n'], options)
    expect([again.client?.isAuthenticated, asked]).toEqual([true, 2])
    const never = await open([GREET, EHLO, offer, ...refusal, ...refusal], options)
    expect([never.error?.reason, never.error?.code, asked]).toEqual(['login', 535, 4])
  })

  test.each(['CRAM-MD5', 'PLAIN', 'LOGIN'] as const)('by %s works with the engine’s server', async (name) => {
    const accounts: NonNullable<ServerOptions['auth']>['accounts'] = {
      checkPassword: ({ username, password }) => (password === 'secret' ? { user: username } : undefined),
      sharedSecret: (username) => (username === 'alice' ? 'secret' : undefined),
    }
    const { connect } = house({ auth: { accounts, allowWithoutTls: true, mechanisms: [name] } })
    const client = await connect({ credentials: CREDENTIALS, allowSecretInClear: true })
    expect(client.isAuthenticated).toBe(true)
    client.destroy()
    const wrong = connect({ credentials: { ...CREDENTIALS, password: 'wrong' }, allowSecretInClear: true })
    await expect(wrong).rejects.toMatchObject({ reason: 'login', code: 535, isTemporary: false })
  })

  test('and the message are not in the trace', async () => {
    const lines: string[] = []
    const accounts = { checkPassword: ({ username }: { username: string }) => ({ user: username }) }
    const { connect } = house({ auth: { accounts, allowWithoutTls: true, mechanisms: ['PLAIN', 'LOGIN'] } })
    for (const name of ['PLAIN', 'LOGIN']) {
      const client = await connect({
        credentials: CREDENTIALS,
        allowSecretInClear: true,
        mechanisms: [name],
        trace: ({ side, text }) => lines.push(`${side} ${text}`),
      })
      await client.send({ reversePath: 'a@x.example', forwardPaths: ['b@y.example'] }, 'Subject: hidden\r\n')
      await client.quit()
    }
    expect(lines.join('\n')).not.toMatch(/hidden|secret|c2VjcmV0|AGFsaWNl|YWxpY2U/)
    expect(lines).toContain('client AUTH PLAIN ***')
    expect(lines).toContain('client ***')
    expect(lines).toContain('client BDAT 17 LAST')
    expect(lines.filter((line) => line.startsWith('server 235'))).toHaveLength(2)
  })
})

test('no split of the bytes in either direction changes STARTTLS and a login', async () => {
  const users: string[] = []
  const accounts: NonNullable<ServerOptions['auth']>['accounts'] = {
    checkPassword: ({ username, password }) => (password === 'secret' ? { user: username } : undefined),
  }
  const { connect } = house({
    auth: { accounts, mechanisms: ['LOGIN'], required: true },
    mail: (_path, { user }) => void users.push(user ?? ''),
  })
  async function logsIn(link: Link): Promise<void> {
    const client = await connect({ credentials: CREDENTIALS, startTls: 'required' }, { startTls: true, ...link })
    await client.send({ reversePath: 'a@x.example', forwardPaths: ['b@y.example'] }, 'x')
    await client.quit()
    expect(users.splice(0)).toEqual(['alice'])
  }
  let sent = 0
  let received = 0
  await logsIn({
    client: (duplex) => counted(duplex, (octets) => (received += octets)),
    server: (duplex) => counted(duplex, (octets) => (sent += octets)),
  })
  expect([sent > 150, received > 300]).toEqual([true, true])
  for (let at = 1; at < received; at++) await logsIn({ client: (duplex) => cutAt(duplex, at) })
  for (let at = 1; at < sent; at++) await logsIn({ server: (duplex) => cutAt(duplex, at) })
})

test('REQUIRETLS goes only over TLS whose certificate the runtime or `verifyServer` has verified', async () => {
  const offer = '250-mx.example.com\r\n250 REQUIRETLS\r\n'
  const script = [GREET, EHLO, offer, { waitFor: 'MAIL FROM:<a@x.example> REQUIRETLS\r\n' }, '550 5.7.1 No\r\n']
  const envelope = { reversePath: 'a@x.example', forwardPaths: ['b@y.example'], requireTls: true }
  const certificate = { subject: '', issuer: '', fingerprint: '' }
  async function codeOver(tls: Duplex['tls'], verifyServer?: () => void): Promise<number | string | undefined> {
    const { duplex } = scripted(script)
    const options = { hostname: 'client.example.com', ...(verifyServer && { verifyServer }) }
    const client = await openClient(wrapped(duplex, { tls }), options)
    const error: unknown = await client.send(envelope, '').catch((reason: unknown) => reason)
    client.destroy()
    return error instanceof ClientError ? (error.code ?? error.reason) : undefined
  }
  expect(await codeOver(undefined)).toBe('unsupported')
  const info = { protocol: 'TLSv1.3', cipher: '' }
  expect(await codeOver(info)).toBe('unsupported')
  expect(await codeOver({ ...info, peerCertificate: { ...certificate, verified: false } })).toBe('unsupported')
  expect(await codeOver({ ...info, peerCertificate: { ...certificate, verified: true } })).toBe(550)
  expect(await codeOver({ ...info, peerCertificate: { ...certificate, verified: false } }, () => {})).toBe(550)
  expect(await codeOver(undefined, () => {})).toBe('unsupported')
})
