/** The mechanisms beside PLAIN and LOGIN, without a server: the RFCs' own examples, and what each refuses. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scramClient, scramKeysOf } from '../../../test/kit/scram.ts'
import { reply } from '../src/protocol/grammar/reply.ts'
import { makeCramMd5 } from '../src/sasl/cram-md5.ts'
import type { Accounts, Exchange, Mechanism, SaslPeer, Step } from '../src/sasl/mechanism.ts'
import { MECHANISMS } from '../src/sasl/mechanisms.ts'
import { makeScram } from '../src/sasl/scram.ts'
import { octets } from './protocol.ts'

const PEER: SaslPeer = { hostname: 'mx.example.com', offersChannelBinding: false }
const REFUSED = { isRefused: true }
const MALFORMED = { isMalformed: true }

const text = (step: Step): string => new TextDecoder().decode('challenge' in step ? step.challenge : octets('?'))
const challenge = (said: string): Step => ({ challenge: octets(said) })

async function say(exchange: Exchange, response: string | Uint8Array | undefined): Promise<Step> {
  return exchange.next(typeof response === 'string' ? octets(response) : response)
}

/** Runs an exchange to its end with each response in turn. The first is undefined if there is no initial response. */
async function last(
  mechanism: Mechanism,
  accounts: Accounts,
  responses: readonly (string | Uint8Array | undefined)[],
  peer: SaslPeer = PEER,
): Promise<Step> {
  const exchange = mechanism.start(accounts, peer)
  let step: Step = MALFORMED as Step
  for (const response of responses) step = await say(exchange, response)
  return step
}

describe('SCRAM-SHA-256', () => {
  // RFC 7677 3
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const keys = scramKeysOf('pencil', salt, 4096)
  const accounts: Accounts = { scramKeys: (username) => (username === 'user' ? keys : undefined) }
  const mechanism = makeScram({ bindsChannel: false, makeNonce: () => SERVER_NONCE })
  const FIRST = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO'
  const SERVER_FIRST = `r=rOprNGfwEbeRWgbNEkqO${SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
  const FINAL = `c=biws,r=rOprNGfwEbeRWgbNEkqO${SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
  const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

  test("gives the messages of the RFC's example", async () => {
    const exchange = mechanism.start(accounts, PEER)
    expect(await say(exchange, undefined)).toEqual(challenge(''))
    expect(text(await say(exchange, FIRST))).toBe(SERVER_FIRST)
    expect(text(await say(exchange, FINAL))).toBe(SERVER_FINAL)
    expect(await say(exchange, '')).toEqual({ user: 'user' })
  })

  test('logs the client in as the user that the accounts name', async () => {
    const named: Accounts = { scramKeys: async () => ({ ...keys, user: 'user@example.com' }) }
    expect(await last(mechanism, named, [FIRST, FINAL, ''])).toEqual({ user: 'user@example.com' })
  })

  test('reads a name with a comma and an equals sign', async () => {
    const seen: unknown[] = []
    const listening: Accounts = { scramKeys: (...given) => void seen.push(given) as undefined }
    await last(mechanism, listening, [`n,,${'n=a=2Cb=3Dc'},r=x`])
    expect(seen).toEqual([['a,b=c', 'SHA-256']])
  })

  test.each<[string, string[]]>([
    [
      'a proof of another password',
      [FIRST, scramClient({ username: 'user', password: 'pen' }).final(SERVER_FIRST).message],
    ],
    ['another nonce', [FIRST, FINAL.replace('r=rO', 'r=Or')]],
    ['another header in the final message', [FIRST, FINAL.replace('biws', 'eSws')]],
    ['a client that wants to act as somebody else', ['n,a=boss,n=user,r=x']],
    ['channel binding, which belongs to -PLUS', ['p=tls-exporter,,n=user,r=x']],
  ])('refuses %s', async (_, responses) => {
    expect(await last(mechanism, accounts, responses)).toEqual(REFUSED)
  })

  test.each<[string, (string | Uint8Array)[]]>([
    ['no header', ['n=user,r=x']],
    ['an unknown flag', ['q,,n=user,r=x']],
    ['no name', ['n,,n=,r=x']],
    ['a malformed escape in the name', ['n,,n=a=2cb,r=x']],
    ['an extension that the server would have to know', ['n,,m=x,n=user,r=x']],
    ['no nonce', ['n,,n=user,r=']],
    ['octets that are not UTF-8', [Uint8Array.of(0xff)]],
    ['no proof', [FIRST, 'c=biws,r=x']],
    ['a proof of another length', [FIRST, FINAL.replace(/p=.*/, 'p=AAAA')]],
    ['something behind the end', [FIRST, FINAL, 'x']],
  ])('finds %s malformed', async (_, responses) => {
    expect(await last(mechanism, accounts, responses)).toEqual(MALFORMED)
  })

  test('goes on for a name that nobody has, with a salt that stays the same, and refuses it at the end', async () => {
    const salts = new Set<string>()
    for (const username of ['ghost', 'ghost', 'spook']) {
      const client = scramClient({ username, password: 'pencil' })
      const exchange = mechanism.start(accounts, PEER)
      const serverFirst = text(await say(exchange, client.first))
      expect(serverFirst).toMatch(/^r=[^,]+,s=[A-Za-z\d+/]{22}==,i=100000$/)
      salts.add(serverFirst)
      expect(await say(exchange, client.final(serverFirst).message)).toEqual(REFUSED)
    }
    expect(salts.size).toBe(2)
  })

  test.each([
    null,
    1,
    {},
    { ...keys, iterations: 0 },
    { ...keys, storedKey: new Uint8Array(31) },
    { ...keys, salt: 'x' },
  ])('reports keys that are none: %j', async (wrong) => {
    await expect(last(mechanism, { scramKeys: () => wrong as never }, [FIRST])).rejects.toThrow(TypeError)
  })

  test('never lets a client in, and never fails, whatever the client says', async () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom(FIRST, FINAL, 'n,,', 'n=user', ',r=x', 'c=biws', ',p=', 'v='))
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.array(piece).map((parts) => parts.join('')),
          { maxLength: 4 },
        ),
        async (said) => {
          const wrong: Accounts = { scramKeys: () => scramKeysOf('another', salt, 1) }
          const exchange = mechanism.start(wrong, PEER)
          for (const response of said) expect(await say(exchange, response)).not.toHaveProperty('user')
        },
      ),
    )
  })
})

describe('SCRAM-SHA-256-PLUS', () => {
  const salt = Uint8Array.of(1, 2, 3)
  const accounts: Accounts = { scramKeys: () => scramKeysOf('pencil', salt, 10) }
  const channel = Uint8Array.of(9, 8, 7)
  const peer: SaslPeer = {
    ...PEER,
    channelBinding: (type) => (type === 'tls-exporter' ? channel : undefined),
    offersChannelBinding: true,
  }
  const plus = MECHANISMS['SCRAM-SHA-256-PLUS']

  async function run(mechanism: Mechanism, header: string, bound: Uint8Array): Promise<Step> {
    const client = scramClient({ username: 'user', password: 'pencil', header, channel: bound })
    const exchange = mechanism.start(accounts, peer)
    const first = await say(exchange, client.first)
    if (!('challenge' in first)) return first
    const { message, signature } = client.final(text(first))
    const final = await say(exchange, message)
    if (!('challenge' in final)) return final
    expect(text(final)).toBe(signature)
    return say(exchange, '')
  }

  test('logs a client in that is bound to the same channel', async () => {
    expect(await run(plus, 'p=tls-exporter,,', channel)).toEqual({ user: 'user' })
  })

  test.each<[string, Mechanism, string, Uint8Array]>([
    ['a client at the end of another channel', plus, 'p=tls-exporter,,', Uint8Array.of(1)],
    ['a type that the connection does not have', plus, 'p=tls-unique,,', channel],
    ['a client that is not bound', plus, 'n,,', new Uint8Array()],
    ['a client that was not shown the -PLUS mechanism', MECHANISMS['SCRAM-SHA-256'], 'y,,', new Uint8Array()],
  ])('refuses %s', async (_, mechanism, header, bound) => {
    expect(await run(mechanism, header, bound)).toEqual(REFUSED)
  })

  test('leaves a client alone that cannot bind', async () => {
    expect(await run(MECHANISMS['SCRAM-SHA-256'], 'n,,', new Uint8Array())).toEqual({ user: 'user' })
  })
})

describe('CRAM-MD5', () => {
  // RFC 2195 3
  const mechanism = makeCramMd5(() => '1896.697170952')
  const peer: SaslPeer = { ...PEER, hostname: 'postoffice.reston.mci.net' }
  const accounts: Accounts = { sharedSecret: async (name) => (name === 'tim' ? 'tanstaaftanstaaf' : undefined) }
  const DIGEST = 'b913a602c7eda7a495b4e6e7334d3890'

  test("accepts the response of the RFC's example", async () => {
    expect(await last(mechanism, accounts, [undefined], peer)).toEqual(
      challenge('<1896.697170952@postoffice.reston.mci.net>'),
    )
    expect(await last(mechanism, accounts, [undefined, `tim ${DIGEST}`], peer)).toEqual({ user: 'tim' })
  })

  test.each<[string, (string | undefined)[], object]>([
    ['a wrong digest', [undefined, `tim ${DIGEST.replace('b', 'c')}`], REFUSED],
    ['a name that nobody has', [undefined, `tom ${DIGEST}`], REFUSED],
    ['an initial response', [`tim ${DIGEST}`], MALFORMED],
    ['no name', [undefined, ` ${DIGEST}`], MALFORMED],
    ['a digest of another length', [undefined, 'tim b913'], MALFORMED],
  ])('refuses %s', async (_, responses, step) => {
    expect(await last(mechanism, accounts, responses, peer)).toEqual(step)
  })

  test('never gives the same challenge twice', async () => {
    const once = await last(MECHANISMS['CRAM-MD5'], accounts, [undefined])
    expect(text(once)).toMatch(/^<[\w-]{32}@mx\.example\.com>$/)
    expect(await last(MECHANISMS['CRAM-MD5'], accounts, [undefined])).not.toEqual(once)
  })

  test('lets nobody in by an empty secret', async () => {
    const empty: Accounts = { sharedSecret: () => '' }
    const { hmacMd5 } = await import('../src/sasl/md5.ts')
    const digest = Buffer.from(hmacMd5(new Uint8Array(), octets('<1896.697170952@postoffice.reston.mci.net>')))
    expect(await last(mechanism, empty, [undefined, `tim ${digest.toString('hex')}`], peer)).toEqual(REFUSED)
  })
})

describe('tokens', () => {
  const accounts: Accounts = {
    checkToken: async (token, username) =>
      token === 'vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==' && ['', 'user@example.com'].includes(username)
        ? { user: 'user@example.com' }
        : undefined,
  }
  const AUTH = 'auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg=='
  // RFC 7628 4.1
  const OAUTHBEARER = `n,a=user@example.com,\x01host=server.example.com\x01port=143\x01${AUTH}\x01\x01`
  const XOAUTH2 = `user=user@example.com\x01${AUTH}\x01\x01`

  test.each<['OAUTHBEARER' | 'XOAUTH2', (string | undefined)[]]>([
    ['OAUTHBEARER', [OAUTHBEARER]],
    ['OAUTHBEARER', [undefined, OAUTHBEARER]],
    ['OAUTHBEARER', [`n,,\x01${AUTH}\x01\x01`]],
    ['OAUTHBEARER', [OAUTHBEARER.replace('Bearer', 'bearer')]],
    ['XOAUTH2', [XOAUTH2]],
    ['XOAUTH2', [undefined, XOAUTH2]],
  ])('%s logs the client in: %j', async (name, responses) => {
    expect(await last(MECHANISMS[name], accounts, responses)).toEqual({ user: 'user@example.com' })
  })

  test.each<['OAUTHBEARER' | 'XOAUTH2', string, string, string]>([
    ['OAUTHBEARER', OAUTHBEARER.replace('vF9', 'vF8'), '{"status":"invalid_token"}', '\x01'],
    ['XOAUTH2', XOAUTH2.replace('vF9', 'vF8'), '{"status":"401","schemes":"bearer"}', ''],
  ])('%s tells the client why a token is refused, then refuses it', async (name, response, error, rest) => {
    expect(await last(MECHANISMS[name], accounts, [response])).toEqual(challenge(error))
    expect(await last(MECHANISMS[name], accounts, [response, rest])).toEqual(REFUSED)
  })

  test('accounts may refuse with a body of their own, or with a reply', async () => {
    const body = { status: 'insufficient_scope', scope: 'mail' }
    const own: Accounts = { checkToken: () => body }
    expect(await last(MECHANISMS.OAUTHBEARER, own, [OAUTHBEARER])).toEqual(challenge(JSON.stringify(body)))
    const later = reply(454, '4.7.0', 'Later')
    const busy: Accounts = { checkToken: () => later }
    expect(await last(MECHANISMS.XOAUTH2, busy, [XOAUTH2, ''])).toEqual({ isRefused: true, reply: later })
  })

  test.each([true, 'user', { user: '' }, {}])('an invalid answer is reported: %j', async (answer) => {
    const wrong: Accounts = { checkToken: () => answer as never }
    await expect(last(MECHANISMS.XOAUTH2, wrong, [XOAUTH2])).rejects.toThrow(TypeError)
  })

  test.each<['OAUTHBEARER' | 'XOAUTH2', string]>([
    ['OAUTHBEARER', XOAUTH2],
    ['OAUTHBEARER', OAUTHBEARER.replace('n,', 'p=tls-exporter,')],
    ['OAUTHBEARER', OAUTHBEARER.slice(0, -1)],
    ['OAUTHBEARER', OAUTHBEARER.replace('Bearer', 'Basic')],
    ['OAUTHBEARER', 'n,,\x01\x01'],
    ['XOAUTH2', OAUTHBEARER],
    ['XOAUTH2', XOAUTH2.replace('user@example.com', '')],
    ['XOAUTH2', XOAUTH2.slice(0, -2)],
    ['XOAUTH2', XOAUTH2.replace('vF9', 'v F9')],
    ['XOAUTH2', ''],
  ])('%s finds %j malformed', async (name, response) => {
    expect(await last(MECHANISMS[name], accounts, [response])).toEqual(MALFORMED)
  })
})

describe('EXTERNAL', () => {
  const certificate = { subject: 'CN=alice', issuer: 'CN=ca', fingerprint: '00', verified: true }
  const accounts: Accounts = {
    certificateUser: async ({ subject }) => (subject === 'CN=alice' ? { user: 'alice' } : undefined),
  }

  test.each<[string, (string | undefined)[], object, object]>([
    ['asks for the name of the user', [undefined], certificate, challenge('')],
    ['logs the client in', [''], certificate, { user: 'alice' }],
    ['logs a client in that names itself', [undefined, 'alice'], certificate, { user: 'alice' }],
    ['refuses a client that wants to act as somebody else', ['bob'], certificate, REFUSED],
    ['refuses a certificate of nobody', [''], { ...certificate, subject: 'CN=bob' }, REFUSED],
    ['refuses a certificate that was not verified', [''], { ...certificate, verified: false }, REFUSED],
    ['finds a zero octet malformed', ['a\0b'], certificate, MALFORMED],
  ])('%s', async (_, responses, shown, step) => {
    const peer = { ...PEER, certificate: shown as typeof certificate }
    expect(await last(MECHANISMS.EXTERNAL, accounts, responses, peer)).toEqual(step)
  })
})
