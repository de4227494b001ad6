/** Tokens of OAUTHBEARER and XOAUTH2, checked by JWKS and by introspection, with services on loopback. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tokenAccounts, type TokenOptions } from '../src/tokens/index.ts'

const { privateKey, publicKey } = await generateKeyPair('ES256')
const KEYS = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] })
const ISSUER = 'https://issuer.example/'

async function served(
  answer: RequestListener,
): Promise<{ readonly url: string; readonly requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests }
}

function jwt(claims: Record<string, unknown> = {}, key: typeof privateKey = privateKey): Promise<string> {
  const { iss = ISSUER, aud = 'postern', exp = '1h', ...rest } = claims
  return new SignJWT({ email: 'jane@example.com', ...rest })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(iss as string)
    .setAudience(aud as string)
    .setExpirationTime(exp as string)
    .sign(key)
}

describe('JWTs', () => {
  const options = (jwks: string): TokenOptions => ({ jwt: { jwks, issuer: ISSUER, audience: ['other', 'postern'] } })

  test('log their user in, and the keys are asked for once', async () => {
    const { url, requests } = await served((_, response) => response.end(KEYS))
    const { checkToken } = tokenAccounts(options(url))
    for (const username of ['', 'jane@example.com', 'Jane@Example.com']) {
      expect(await checkToken(await jwt(), username)).toEqual({ user: 'jane@example.com' })
    }
    expect(requests).toHaveLength(1)
  })

  test.each<[string, () => Promise<string>, string]>([
    ['of another issuer', () => jwt({ iss: 'https://evil.example/' }), ''],
    ['for another service', () => jwt({ aud: 'webmail' }), ''],
    ['that has expired', () => jwt({ exp: '-1h' }), ''],
    ['of another user than the client names', () => jwt(), 'bob@example.com'],
    ['with an address that nobody has checked', () => jwt({ email_verified: false }), ''],
    ['with an unchecked address, said in a text', () => jwt({ email_verified: 'false' }), ''],
    ['without a user', () => jwt({ email: 7 }), ''],
    ['with a signature of another key', async () => jwt({}, (await generateKeyPair('ES256')).privateKey), ''],
    [
      'that was changed',
      async () => (await jwt()).replace(/\.(.)(?=[^.]*$)/, (_, first) => `.${first === 'A' ? 'B' : 'A'}`),
      '',
    ],
    ['without a signature', async () => `${(await jwt()).split('.').slice(0, 2).join('.')}.`, ''],
    ['that is none', async () => 'a.b.c', ''],
    ['that is not a JWT', async () => 'opaque', ''],
  ])('%s is refused', async (_, make, username) => {
    const { url } = await served((_, response) => response.end(KEYS))
    expect(await tokenAccounts(options(url)).checkToken(await make(), username)).toBeUndefined()
  })

  test.each<[string, RequestListener]>([
    ['answers with an error', (_, response) => response.writeHead(500).end()],
    ['answers no JSON', (_, response) => response.end('<html>')],
    ['answers other JSON', (_, response) => response.end('{"keys":7}')],
    ['closes the connection', (request) => request.socket.destroy()],
  ])('cannot be checked while the service %s: that is no verdict', async (_, answer) => {
    const { url } = await served(answer)
    const { checkToken } = tokenAccounts(options(url))
    await expect(checkToken(await jwt(), '')).rejects.toMatchObject({ name: 'TokenServiceError' })
  })
})

describe('introspection', () => {
  const options = (url: string, cacheMs?: number): TokenOptions => ({
    introspection: { url, clientId: 'po:st', clientSecret: 'tiger', ...(cacheMs !== undefined && { cacheMs }) },
  })
  const answering =
    (answer: unknown): RequestListener =>
    (_, response) =>
      response.end(JSON.stringify(answer))

  test('asks with the credentials of the server, and remembers a valid token for a while', async () => {
    let body = ''
    const { url, requests } = await served(async (request, response) => {
      for await (const chunk of request) body += chunk
      response.end(JSON.stringify({ active: true, username: 'jane@example.com' }))
    })
    const { checkToken } = tokenAccounts(options(url))
    for (let n = 0; n < 3; n++) expect(await checkToken('opaque+/=', '')).toEqual({ user: 'jane@example.com' })
    expect(requests.map(({ method, headers }) => [method, headers.authorization])).toEqual([
      ['POST', `Basic ${btoa('po%3Ast:tiger')}`],
    ])
    expect(body).toBe('token=opaque%2B%2F%3D&token_type_hint=access_token')
    expect(await tokenAccounts(options(url, 0)).checkToken('opaque', '')).toEqual({ user: 'jane@example.com' })
    expect(requests).toHaveLength(2)
  })

  test.each<[unknown]>([
    [{ active: false, username: 'jane@example.com' }],
    [{ username: 'jane@example.com' }],
    [{ active: 'true', username: 'jane@example.com' }],
    [{ active: true }],
    [{ active: true, username: 'jane@example.com', exp: 1 }],
  ])('%j is refused', async (answer) => {
    const { url } = await served(answering(answer))
    expect(await tokenAccounts(options(url)).checkToken('opaque', '')).toBeUndefined()
  })

  test('is asked about tokens that are not JWTs, if JWTs are checked by keys', async () => {
    const keys = await served((_, response) => response.end(KEYS))
    const asked = await served(answering({ active: true, username: 'bob@example.com' }))
    const jwtOptions = { jwks: keys.url, issuer: ISSUER, audience: 'postern' }
    const { checkToken } = tokenAccounts({ ...options(asked.url), jwt: jwtOptions })
    expect(await checkToken(await jwt(), '')).toEqual({ user: 'jane@example.com' })
    expect(await checkToken('opaque', '')).toEqual({ user: 'bob@example.com' })
    expect([keys.requests.length, asked.requests.length]).toEqual([1, 1])
  })

  test('its error does not quote an answer that is not JSON', async () => {
    const { url } = await served((_, response) => response.end('no such token: opaque'))
    const asked = tokenAccounts(options(url)).checkToken('opaque', '')
    await expect(asked).rejects.toThrow(/^\S+ cannot be asked about a token: it did not answer JSON$/)
  })

  test.each<[string, RequestListener]>([
    ['an error', (_, response) => response.writeHead(401).end()],
    ['a redirection', (_, response) => response.writeHead(302, { location: '/' }).end()],
    ['no object', answering(7)],
    ['more than it may', (_, response) => response.end(`{"a":"${'x'.repeat(70_000)}"}`)],
  ])('that answers %s gives no verdict', async (_, answer) => {
    const { url } = await served(answer)
    const check = tokenAccounts(options(url)).checkToken('opaque', '')
    await expect(check).rejects.toMatchObject({ name: 'TokenServiceError' })
  })
})

test.each<[TokenOptions, string]>([
  [{}, 'tokens: neither jwt nor introspection is given'],
  [{ jwt: { jwks: 'x', issuer: 'a', audience: 'b' } }, 'jwt.jwks: "x" is not a URL of https:'],
  [{ jwt: { jwks: 'http://issuer.example/', issuer: 'a', audience: 'b' } }, 'is not a URL of https:'],
  [{ jwt: { jwks: 'https://issuer.example/', issuer: '', audience: 'b' } }, 'jwt.issuer: is missing'],
  [{ jwt: { jwks: 'https://issuer.example/', issuer: 'a', audience: [] } }, 'jwt.audience: is missing'],
  [{ introspection: { url: 'ftp://a/', clientId: 'a', clientSecret: 'b' } }, 'introspection.url: "ftp://a/" is not'],
])('a mistake in the options throws: %j', (options, message) => {
  expect(() => tokenAccounts(options)).toThrow(message)
})
