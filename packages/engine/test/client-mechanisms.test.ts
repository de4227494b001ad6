/** The client's side of each mechanism, without a connection: the RFCs' own examples, our server's side, and what the client refuses. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scramKeysOf } from '../../../test/kit/scram.ts'
import {
  type ClientCredentials,
  type ClientMechanism,
  type ClientSaslPeer,
  MechanismError,
} from '../src/sasl/client/mechanism.ts'
import { CLIENT_MECHANISMS, chooseMechanism, mechanismOf } from '../src/sasl/client/mechanisms.ts'
import { saslprep } from '../src/sasl/client/saslprep.ts'
import { makeScram } from '../src/sasl/client/scram.ts'
import type { Accounts, SaslPeer } from '../src/sasl/mechanism.ts'
import { MECHANISMS, type MechanismName } from '../src/sasl/mechanisms.ts'
import { octets } from './protocol.ts'

const PEER: ClientSaslPeer = { host: 'server.example.com', port: 587, offersChannelBinding: false }
const SERVER: SaslPeer = { hostname: 'server.example.com', offersChannelBinding: false }
const SALT = Uint8Array.of(1, 2, 3, 4)

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes)

/** Returns what the client says: its initial response, and the responses to the challenges. */
async function said(
  mechanism: ClientMechanism,
  credentials: ClientCredentials,
  challenges: readonly string[],
  peer: ClientSaslPeer = PEER,
): Promise<(string | undefined)[]> {
  const exchange = mechanism.start(credentials, peer)
  const responses = [text(await exchange.initial())]
  for (const challenge of challenges) responses.push(text(await exchange.next(octets(challenge))))
  return responses
}

/** Accounts that have one user, whatever the mechanism. */
function accountsOf({ username = '', password = '' }: ClientCredentials, token: string): Accounts {
  const keys = scramKeysOf(saslprep(password, 'password'), SALT, 4096)
  return {
    checkPassword: (login) =>
      login.username === username && login.password === password ? { user: login.username } : undefined,
    sharedSecret: (name) => (name === username ? password : undefined),
    scramKeys: (name) => (name === saslprep(username, 'user name') ? { ...keys, user: username } : undefined),
    checkToken: (given, name) => (given === token && name === username ? { user: name } : undefined),
    certificateUser: () => ({ user: username }),
  }
}

/**
 * Runs the client against our server's side of the same mechanism. Returns the user that is logged in; undefined if the server
 * refuses.
 */
async function logIn(
  name: MechanismName,
  credentials: ClientCredentials,
  accounts: Accounts,
  { isEarly = true, client = PEER, server = SERVER } = {},
): Promise<string | undefined> {
  const ours = mechanismOf(name).start(credentials, client)
  const theirs = MECHANISMS[name].start(accounts, server)
  const initial = await ours.initial()
  let step = await theirs.next(isEarly ? initial : undefined)
  if (!isEarly && initial !== undefined) {
    expect(step).toEqual({ challenge: octets('') })
    step = await theirs.next(initial)
  }
  while ('challenge' in step) step = await theirs.next(await ours.next(step.challenge))
  if (!('user' in step)) return undefined
  ours.succeeded?.()
  return step.user
}

describe('against our server', () => {
  const channelBinding = (type: string): Uint8Array | undefined =>
    type === 'tls-server-end-point' ? octets('the end point') : undefined
  const client = { ...PEER, channelBinding, offersChannelBinding: true }
  const certificate = { subject: 'CN=a', issuer: 'CN=b', fingerprint: '00', verified: true }
  const server = { ...SERVER, channelBinding, offersChannelBinding: true, certificate }
  const TOKEN = 'vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=='
  const letter = fc.constantFrom(
    ',',
    '=',
    '=2C',
    ' ',
    '"',
    '\\',
    'a',
    'Z',
    '@',
    'é',
    'ß',
    '\u00ad',
    '\u3000',
    'ﬁ',
    '\u{1f600}',
  )
  const word = fc.array(letter, { maxLength: 8 }).map((letters) => `x${letters.join('')}`)

  test.each(Object.keys(MECHANISMS) as MechanismName[])(
    '%s logs in any user with the right password only',
    async (name) => {
      const isShown = name === 'EXTERNAL'
      await fc.assert(
        fc.asyncProperty(word, word, fc.boolean(), async (username, password, isEarly) => {
          const credentials = { username, password, accessToken: async () => TOKEN, external: true }
          const accounts = accountsOf(credentials, TOKEN)
          expect(await logIn(name, credentials, accounts, { isEarly, client, server })).toBe(username)
          if (isShown) return
          const wrong = { ...credentials, password: `${password}y`, accessToken: `${TOKEN}y`.replace('==', '') }
          expect(await logIn(name, wrong, accounts, { isEarly, client, server })).toBeUndefined()
        }),
        { numRuns: 40 },
      )
    },
  )

  test('the client does not log in by SCRAM if the server offers channel binding and somebody took that off the list', async () => {
    const credentials = { username: 'user', password: 'pencil' }
    const stripped = { client: { ...client, offersChannelBinding: false }, server }
    expect(await logIn('SCRAM-SHA-256', credentials, accountsOf(credentials, TOKEN), stripped)).toBeUndefined()
    const unbound = { client, server }
    expect(await logIn('SCRAM-SHA-256', credentials, accountsOf(credentials, TOKEN), unbound)).toBe('user')
  })

  test('the client does not log in by SCRAM-SHA-256-PLUS if the ends of the connection differ', async () => {
    const credentials = { username: 'user', password: 'pencil' }
    const between = { ...client, channelBinding: () => octets('another end point') }
    const accounts = accountsOf(credentials, TOKEN)
    expect(await logIn('SCRAM-SHA-256-PLUS', credentials, accounts, { client: between, server })).toBeUndefined()
  })

  test.each<[MechanismName, string | undefined]>([
    ['PLAIN', 'boss'],
    ['OAUTHBEARER', 'boss'],
    ['EXTERNAL', 'boss'],
  ])('%s says which user the client acts as', async (name, seen) => {
    const credentials = {
      username: 'user',
      password: 'pencil',
      accessToken: TOKEN,
      external: true,
      authorizationId: 'boss',
    }
    const accounts: Accounts = {
      checkPassword: ({ authorizationId }) => ({ user: authorizationId }),
      checkToken: (_, username) => ({ user: username }),
      certificateUser: () => ({ user: 'boss' }),
    }
    expect(await logIn(name, credentials, accounts, { client, server })).toBe(seen)
  })
})

describe('examples of the RFCs', () => {
  test.each<[string, ClientCredentials, string]>([
    // RFC 4616 4
    ['PLAIN', { username: 'tim', password: 'tanstaaftanstaaf' }, '\0tim\0tanstaaftanstaaf'],
    ['PLAIN', { authorizationId: 'Ursel', username: 'Kurt', password: 'xipj3plmq' }, 'Ursel\0Kurt\0xipj3plmq'],
    // RFC 4422 A.4
    ['EXTERNAL', { external: true }, ''],
    ['EXTERNAL', { external: true, authorizationId: 'fred@example.com' }, 'fred@example.com'],
    // RFC 7628 4.1
    [
      'OAUTHBEARER',
      { username: 'user@example.com', accessToken: 'vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==' },
      'n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\x01\x01',
    ],
    // Google's documentation of XOAUTH2
    [
      'XOAUTH2',
      { username: 'someuser@example.com', accessToken: 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg' },
      'user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01',
    ],
  ])('%s writes %j', async (name, credentials, message) => {
    expect(await said(mechanismOf(name), credentials, [])).toEqual([message])
  })

  test('CRAM-MD5 answers the challenge of RFC 2195 2', async () => {
    const credentials = { username: 'tim', password: 'tanstaaftanstaaf' }
    expect(await said(mechanismOf('CRAM-MD5'), credentials, ['<1896.697170952@postoffice.reston.mci.net>'])).toEqual([
      undefined,
      'tim b913a602c7eda7a495b4e6e7334d3890',
    ])
  })

  test.each<[string, string]>([
    ['OAUTHBEARER', '\x01'],
    ['XOAUTH2', ''],
  ])('%s answers an error in JSON, after which the server refuses', async (name, response) => {
    const credentials = { username: 'user', accessToken: 'x' }
    expect((await said(mechanismOf(name), credentials, ['{"status":"invalid_token"}']))[1]).toBe(response)
    await expect(said(mechanismOf(name), credentials, ['{}', '{}'])).rejects.toThrow('asks for more')
  })

  // RFC 4013 3, and a fullwidth letter.
  test.each<[string, string]>([
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['a\u00a0b\u3000c', 'a b c'],
    ['\uff21', 'A'],
  ])('SASLprep makes %j %j', (given, prepared) => {
    expect(saslprep(given, 'password')).toBe(prepared)
  })

  test.each(['', '\u00ad', '\u0007', '\u0085', '\ue000', '\ud800', '\ufdd0', '\u200e', '\u{e0041}', '\ufffd'])(
    'SASLprep does not allow %j',
    (given) => {
      expect(() => saslprep(given, 'password')).toThrow('SASLprep does not allow this password')
    },
  )
})

describe('SCRAM-SHA-256', () => {
  // RFC 7677 3
  const NONCE = 'rOprNGfwEbeRWgbNEkqO'
  const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const SERVER_FIRST = `r=${NONCE}${SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
  const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='
  const mechanism = makeScram({ bindsChannel: false, makeNonce: () => NONCE })
  const credentials = { username: 'user', password: 'pencil' }

  async function run(challenges: readonly string[]): Promise<void> {
    const exchange = mechanism.start(credentials, PEER)
    await exchange.initial()
    for (const challenge of challenges) await exchange.next(octets(challenge))
    exchange.succeeded?.()
  }

  test("gives the messages of the RFC's example", async () => {
    expect(await said(mechanism, credentials, [SERVER_FIRST, SERVER_FINAL])).toEqual([
      `n,,n=user,r=${NONCE}`,
      `c=biws,r=${NONCE}${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`,
      '',
    ])
    await run([SERVER_FIRST, SERVER_FINAL])
  })

  test('takes extensions that it need not know', async () => {
    await run([SERVER_FIRST, `${SERVER_FINAL},x=y`])
    expect(await said(mechanism, credentials, [`${SERVER_FIRST},x=y`])).toHaveLength(2)
  })

  test.each<[string, string[], string]>([
    ['a signature of another password', [SERVER_FIRST, SERVER_FINAL.replace('6r', '7r')], 'signature is wrong'],
    ['a signature that is cut', [SERVER_FIRST, 'v=6rri'], 'signature is wrong'],
    ['no signature', [SERVER_FIRST, ''], 'signature is wrong'],
    ['success without its signature', [SERVER_FIRST], 'has not proved'],
    ['success at once', [], 'has not proved'],
    ['success after an error', [SERVER_FIRST, 'e=invalid-proof'], 'has not proved'],
    ['a third challenge', [SERVER_FIRST, SERVER_FINAL, ''], 'asks for more'],
    ['a nonce that does not continue its own', [SERVER_FIRST.replace('r=rO', 'r=Or')], 'nonce'],
    ['a nonce that adds nothing to its own', [SERVER_FIRST.replace(SERVER_NONCE, '')], 'nonce'],
    ['4,095 iterations', [SERVER_FIRST.replace('4096', '4095')], '4096 to 1000000 are allowed'],
    ['1,000,001 iterations', [SERVER_FIRST.replace('4096', '1000001')], '4096 to 1000000 are allowed'],
    ['iterations that are no number', [SERVER_FIRST.replace('4096', '0x1000')], 'malformed'],
    ['iterations with more digits than a number holds', [SERVER_FIRST.replace('4096', '9'.repeat(400))], 'malformed'],
    ['an extension that it would have to know', [`m=x,${SERVER_FIRST}`], 'malformed'],
    ['no salt', [SERVER_FIRST.replace('W22ZaJ0SNY7soEsUEjb6gQ==', '')], 'malformed'],
    ['an empty message', [''], 'malformed'],
  ])('does not accept %s', async (_, challenges, problem) => {
    await expect(run(challenges)).rejects.toThrow(problem)
  })

  test('says that it could bind, if the server does not offer it', async () => {
    const channelBinding = (): Uint8Array => octets('x')
    const [unoffered] = await said(mechanism, credentials, [], { ...PEER, channelBinding })
    const [offered] = await said(mechanism, credentials, [], { ...PEER, channelBinding, offersChannelBinding: true })
    expect([unoffered, offered]).toEqual([`y,,n=user,r=${NONCE}`, `n,,n=user,r=${NONCE}`])
  })

  test('-PLUS binds to tls-exporter first', async () => {
    const plus = makeScram({ bindsChannel: true, makeNonce: () => NONCE })
    const peer = { ...PEER, channelBinding: octets, offersChannelBinding: true }
    const [first, final] = await said(plus, { ...credentials, authorizationId: 'a,b=c' }, [SERVER_FIRST], peer)
    expect(first).toBe(`p=tls-exporter,a=a=2Cb=3Dc,n=user,r=${NONCE}`)
    expect(final).toContain(`c=${btoa('p=tls-exporter,a=a=2Cb=3Dc,tls-exporter')},`)
    expect(() => plus.start(credentials, PEER)).toThrow('no channel binding')
  })
})

test('no mechanism fails but by a MechanismError, or believes a server, whatever the server says', async () => {
  const NONCE = 'rOprNGfwEbeRWgbNEkqO'
  const scram = makeScram({ bindsChannel: false, makeNonce: () => NONCE })
  const all = [...CLIENT_MECHANISMS.filter(({ name }) => name !== scram.name), scram]
  const credentials = { username: 'user', password: 'pencil', accessToken: 'x', external: true }
  const peer = { ...PEER, channelBinding: octets, offersChannelBinding: true }
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(`r=${NONCE}`, 'x', ',s=AAAA', ',i=4096', ',i=1', 'v=AAAA', 'e=other-error', ',', '='),
  )
  const said = fc.oneof(
    fc.array(piece).map((pieces) => octets(pieces.join(''))),
    fc.uint8Array({ maxLength: 20 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...all), fc.array(said, { maxLength: 4 }), async (mechanism, challenges) => {
      const exchange = mechanism.start(credentials, peer)
      await exchange.initial()
      try {
        for (const challenge of challenges) expect(await exchange.next(challenge)).toBeInstanceOf(Uint8Array)
      } catch (error) {
        expect(error).toBeInstanceOf(MechanismError)
      }
      // SCRAM alone has a server that proves itself, and this one cannot.
      if (exchange.succeeded !== undefined) expect(() => exchange.succeeded?.()).toThrow(MechanismError)
    }),
    { numRuns: 500 },
  )
})

describe('credentials that a mechanism cannot carry', () => {
  test.each<[string, ClientCredentials]>([
    ['PLAIN', { username: 'a\0b', password: 'x' }],
    ['PLAIN', { username: 'a', password: 'x\0' }],
    ['PLAIN', { username: 'a', password: 'x', authorizationId: '\0' }],
    ['LOGIN', { username: 'a\0', password: 'x' }],
    ['CRAM-MD5', { username: 'a\0', password: 'x' }],
    ['SCRAM-SHA-256', { username: 'a\0', password: 'x' }],
    ['SCRAM-SHA-256', { username: 'a', password: 'x\0' }],
    ['OAUTHBEARER', { username: 'a\x01auth=Bearer y', accessToken: 'x' }],
    ['XOAUTH2', { username: 'a\x01auth=Bearer y', accessToken: 'x' }],
    ['XOAUTH2', { username: 'a', accessToken: 'x\x01' }],
    ['OAUTHBEARER', { accessToken: '' }],
    ['OAUTHBEARER', { accessToken: async () => undefined as never }],
    ['EXTERNAL', { external: true, authorizationId: 'a\0' }],
  ])('%s rejects %j, and the error does not show them', async (name, credentials) => {
    const failure = await said(mechanismOf(name), credentials, ['']).catch((error: Error) => error)
    expect(failure).toMatchObject({ name: 'MechanismError' })
    expect((failure as Error).message).toMatch(/^[A-Za-z0-9 '-]+$/)
  })
})

describe('chooseMechanism', () => {
  const ALL = CLIENT_MECHANISMS.map(({ name }) => name)
  const password = { username: 'user', password: 'pencil' }
  const bound = { channelBinding: () => octets('x') }

  test.each<[string, readonly string[], ClientCredentials, object, boolean, string]>([
    ['channel binding', ALL, password, bound, true, 'SCRAM-SHA-256-PLUS'],
    ['SCRAM on a connection without channel binding', ALL, password, {}, true, 'SCRAM-SHA-256'],
    ['names in lower case', ['plain', 'scram-sha-256'], password, {}, true, 'SCRAM-SHA-256'],
    ['a digest in clear', ['PLAIN', 'LOGIN', 'CRAM-MD5'], password, {}, false, 'CRAM-MD5'],
    ['PLAIN before LOGIN', ['LOGIN', 'PLAIN'], password, {}, true, 'PLAIN'],
    ['a token', ALL, { username: 'user', accessToken: 'x' }, bound, true, 'OAUTHBEARER'],
    ['a certificate', ALL, { ...password, external: true }, bound, true, 'EXTERNAL'],
    [
      'PLAIN for another user',
      ['LOGIN', 'CRAM-MD5', 'PLAIN'],
      { ...password, authorizationId: 'boss' },
      {},
      true,
      'PLAIN',
    ],
  ])('takes %s', (_, offered, credentials, peer, isSecure, name) => {
    expect(chooseMechanism(offered, credentials, peer, { isSecure }).name).toBe(name)
  })

  test.each<[string, readonly string[], ClientCredentials, boolean, string]>([
    ['a password in clear', ['PLAIN', 'LOGIN'], password, false, 'PLAIN, LOGIN would show a secret'],
    ['a token in clear', ['XOAUTH2'], { username: 'user', accessToken: 'x' }, false, 'XOAUTH2 would show a secret'],
    [
      'credentials that fit nothing',
      ['XOAUTH2', 'EXTERNAL'],
      password,
      true,
      'do not fit what the server offers: EXTERNAL, XOAUTH2',
    ],
    ['mechanisms that nobody knows', ['GSSAPI', 'NTLM'], password, true, 'no mechanism that the client knows'],
    ['nothing', [], password, true, 'no mechanism that the client knows'],
  ])('refuses %s, and says why', (_, offered, credentials, isSecure, problem) => {
    expect(() => chooseMechanism(offered, credentials, {}, { isSecure })).toThrow(problem)
  })

  test('takes only those that the caller lists, in that order, and mechanisms of its own', () => {
    const own: ClientMechanism = { ...mechanismOf('PLAIN'), name: 'X-OWN' }
    const choose = (mechanisms: readonly (string | ClientMechanism)[]): string =>
      chooseMechanism(['X-OWN', ...ALL], password, bound, { isSecure: true, mechanisms }).name
    expect([choose(['login', 'PLAIN']), choose([own, 'PLAIN'])]).toEqual(['LOGIN', 'X-OWN'])
    expect(() => choose(['GSSAPI'])).toThrow(TypeError)
  })

  test('shows a secret in clear if the caller allows it', () => {
    const choice = { isSecure: false, allowSecretInClear: true }
    expect(chooseMechanism(['LOGIN', 'PLAIN'], password, {}, choice).name).toBe('PLAIN')
  })
})
