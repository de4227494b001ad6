/** The requests that are accepted as those of a front. */
import { SignJWT, UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import {
  frontGuard,
  type FrontGuardOptions,
  pipeAudience,
  type PipeFacts,
  pipeHeaders,
  pipeOverrides,
  type PipeRefusedError,
  type PipeRequest,
} from '../src/websocket/index.ts'

const secret = 'the secret that this test and its fronts share'
const url = 'wss://mail.example/pipe'
const facts: PipeFacts = {
  remote: { family: 'ipv4', address: '192.0.2.7', port: 4711 },
  local: { family: 'ipv6', address: '2001:db8::1', port: 25 },
  canStartTls: true,
  submission: false,
}
const secured: PipeFacts = {
  ...facts,
  canStartTls: false,
  submission: true,
  tls: {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    serverName: 'mx.example',
    peerCertificate: { subject: 'C=NL\nCN=client', issuer: 'CN=ca', fingerprint: 'ab'.repeat(32), verified: true },
  },
}

function request(authorization: string | undefined, at = 'https://mail.example/pipe'): PipeRequest {
  return { url: at, headers: new Headers(authorization === undefined ? {} : { authorization }) }
}

async function header(of: PipeFacts = facts, at = url, by = secret): Promise<string> {
  return (await pipeHeaders(of, { secret: by, url: at })).authorization
}

/** Makes a token like that of a front, except for the given changes. */
async function forged(change: (token: SignJWT) => SignJWT, pipe: unknown = facts, alg = 'HS256'): Promise<string> {
  const now = Math.floor(Date.now() / 1_000)
  const token = new SignJWT({ pipe })
    .setProtectedHeader({ alg })
    .setIssuer('postern-front')
    .setAudience(pipeAudience(url))
    .setJti(crypto.randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + 60)
  return `Bearer ${await change(token).sign(new TextEncoder().encode(secret))}`
}

async function refusal(given: PipeRequest, options: Partial<FrontGuardOptions> = {}): Promise<PipeRefusedError> {
  const error = await frontGuard({ secrets: secret, ...options })
    .admit(given)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    )
  expect(error).toMatchObject({ name: 'PipeRefusedError' })
  return error as PipeRefusedError
}

test('a front is accepted, with the facts about its client', async () => {
  expect(await frontGuard({ secrets: secret }).admit(request(await header()))).toEqual(facts)
  expect(await frontGuard({ secrets: secret }).admit(request(await header(secured)))).toEqual(secured)
  expect([pipeOverrides(facts), pipeOverrides(secured)]).toEqual([{}, { authRequired: true, tlsRequired: true }])
})

test('the session is TLS even if the front has no facts about the handshake', async () => {
  const untold = { ...secured, tls: { protocol: '', cipher: '' } }
  expect(await frontGuard({ secrets: secret }).admit(request(await header(untold)))).toEqual(untold)
})

test('a token made by the test is accepted without changes', async () => {
  const authorization = await forged((token) => token)
  expect(await frontGuard({ secrets: secret }).admit(request(authorization))).toEqual(facts)
})

test('both secrets are accepted while one replaces the other', async () => {
  const guard = frontGuard({ secrets: ['another secret, which is the new one', secret] })
  expect(await guard.admit(request(await header()))).toEqual(facts)
  const authorization = await header(facts, url, 'another secret, which is the new one')
  expect(await guard.admit(request(authorization))).toEqual(facts)
})

test('a request without a well-formed token is rejected', async () => {
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic YTpi',
    'Bearer a b',
    'Bearer ä',
    'Bearer {}',
  ]) {
    const error = await refusal(request(authorization))
    expect([error.status, error.message]).toEqual([401, 'it has no token'])
  }
  for (const authorization of ['Bearer x', 'Bearer a.b.c', 'Bearer ..']) {
    expect((await refusal(request(authorization))).message).toMatch(/^its token is invalid/)
  }
  expect((await refusal(request(`Bearer ${'a'.repeat(12_289)}`))).message).toBe('its token is too long')
})

test('a token with a wrong signature is rejected', async () => {
  const error = await refusal(request(await header(facts, url, 'some other secret, which is long enough too')))
  expect(error).toMatchObject({ status: 401, message: expect.stringContaining('signature verification failed') })
})

test('facts that were changed after signing are rejected', async () => {
  const [head, , signature] = (await header()).split('.')
  const [, payload] = (await header({ ...facts, submission: true })).split('.')
  expect((await refusal(request([head, payload, signature].join('.')))).message).toContain('signature')
})

test('a token with alg none or another algorithm is rejected', async () => {
  const now = Math.floor(Date.now() / 1_000)
  const unsecured = new UnsecuredJWT({ pipe: facts })
    .setIssuer('postern-front')
    .setAudience(pipeAudience(url))
    .setJti(crypto.randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + 60)
    .encode()
  await refusal(request(`Bearer ${unsecured}`))
  expect((await refusal(request(await forged((token) => token, facts, 'HS512')))).message).toContain('alg')
})

test('a token that has expired, is from the future, or is valid for too long is rejected', async () => {
  const now = Math.floor(Date.now() / 1_000)
  const past = await forged((token) => token.setIssuedAt(now - 71).setExpirationTime(now - 11))
  expect((await refusal(request(past))).message).toContain('exp')
  const future = await forged((token) => token.setIssuedAt(now + 30).setExpirationTime(now + 60))
  expect((await refusal(request(future))).message).toContain('iat')
  const old = await forged((token) => token.setIssuedAt(now - 100).setExpirationTime(now + 60))
  expect((await refusal(request(old))).message).toContain('iat')
  const long = await forged((token) => token.setExpirationTime(now + 3_600))
  expect((await refusal(request(long))).message).toBe('its token is valid for too long')
})

test('a token with missing claims is rejected', async () => {
  const key = new TextEncoder().encode(secret)
  const now = Math.floor(Date.now() / 1_000)
  const whole = {
    pipe: facts,
    iss: 'postern-front',
    aud: pipeAudience(url),
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 60,
  }
  for (const name of Object.keys(whole)) {
    const claims = Object.fromEntries(Object.entries(whole).filter(([key]) => key !== name))
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(key)
    expect((await refusal(request(`Bearer ${token}`))).message, name).toMatch(/^its token is invalid/)
  }
  const shortId = await new SignJWT({ ...whole, jti: 'x' }).setProtectedHeader({ alg: 'HS256' }).sign(key)
  expect((await refusal(request(`Bearer ${shortId}`))).message).toBe('the id of its token is missing or invalid')
})

test('a token for another URL is rejected', async () => {
  for (const other of ['wss://mail.example/other', 'wss://other.example/pipe', 'wss://mail.example:8443/pipe']) {
    expect((await refusal(request(await header(facts, other)))).message).toContain('aud')
  }
  // A request names its own host. A server with a configured name ignores it.
  const forgedHost = request(await header(facts, 'wss://other.example/pipe'), 'https://other.example/pipe')
  expect((await refusal(forgedHost, { audience: 'mail.example/pipe' })).message).toContain('aud')
})

test('a token is accepted behind a proxy that ends TLS', async () => {
  const given = request(await header(), 'http://mail.example/pipe')
  expect(await frontGuard({ secrets: secret }).admit(given)).toEqual(facts)
})

test('a token that was used before is rejected', async () => {
  const guard = frontGuard({ secrets: secret })
  const authorization = await header()
  await guard.admit(request(authorization))
  await expect(guard.admit(request(authorization))).rejects.toMatchObject({
    status: 401,
    message: 'its token was used before',
  })
})

test('a token is rejected if the memory of the caller already has it', async () => {
  const seen: [string, number][] = []
  const memory = { add: async (id: string, expiresAtMs: number) => seen.push([id, expiresAtMs]) === 1 }
  const options = { secrets: secret, memory }
  await frontGuard(options).admit(request(await header()))
  expect((await refusal(request(await header()), options)).message).toBe('its token was used before')
  expect(seen[0]?.[1]).toBeGreaterThan(Date.now() + 60_000)
})

test.each<[string, unknown]>([
  ['nothing', null],
  ['a text', 'facts'],
  ['a list', []],
  ['a field too many', { ...facts, user: 'ann' }],
  ['no remote', { ...facts, remote: undefined }],
  ['an address that is a name', { ...facts, remote: { ...facts.remote, address: 'client.example' } }],
  ['an address with a line break', { ...facts, remote: { ...facts.remote, address: '192.0.2.7\r\nX: y' } }],
  ['an address out of range', { ...facts, remote: { ...facts.remote, address: '192.0.2.256' } }],
  ['an unknown family', { ...facts, remote: { ...facts.remote, family: 'ipx' } }],
  ['text that is not IPv6', { ...facts, remote: { family: 'ipv6', address: '192.0.2.7', port: 1 } }],
  ['a port out of range', { ...facts, local: { ...facts.local, port: 65_536 } }],
  ['a switch that is a number', { ...facts, submission: 1 }],
  ['TLS below TLS', { ...secured, canStartTls: true }],
  ['an unknown protocol', { ...secured, tls: { ...secured.tls, protocol: 'TLSv9' } }],
  ['a cipher with a blank', { ...secured, tls: { ...secured.tls, cipher: 'a b' } }],
  ['a server name that is too long', { ...secured, tls: { ...secured.tls, serverName: 'a'.repeat(256) } }],
  ['a certificate of another form', { ...secured, tls: { ...secured.tls, peerCertificate: { subject: 'x' } } }],
])('a token with malformed claims is rejected: %s', async (_, pipe) => {
  expect((await refusal(request(await forged((token) => token, pipe)))).message).toMatch(
    /^its claims do not describe a pipe/,
  )
})

test('a missing or too short secret is rejected before it signs a token', async () => {
  expect(() => frontGuard({ secrets: 'short' })).toThrow(RangeError)
  expect(() => frontGuard({ secrets: [] })).toThrow(RangeError)
  await expect(pipeHeaders(facts, { secret: 'short', url })).rejects.toThrow(RangeError)
})

test('a front does not sign facts that the server would reject', async () => {
  const local = { ...facts.local, address: 'nowhere' }
  await expect(pipeHeaders({ ...facts, local }, { secret, url })).rejects.toThrow(RangeError)
})
