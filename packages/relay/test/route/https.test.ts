/** Policies of MTA-STS from an HTTPS server on loopback, whose name only the tests' own DNS server knows. */
import { createServer, type Server } from 'node:https'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { selfSigned, type SelfSignedCertificate } from '@postern/runtime/tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PolicyAnswer, webPolicyFetch } from '../../src/route/index.ts'
import { httpsPolicyFetch } from '../../src/route/https/index.ts'
import { startZone, type ZoneServer } from './zone.ts'

const POLICY = 'version: STSv1\nmode: none\nmax_age: 1\n'

let certificate: SelfSignedCertificate
let server: Server
let zone: ZoneServer
let respond: (response: ServerResponse) => void
const requests: string[] = []

beforeAll(async () => {
  certificate = await selfSigned({ hosts: ['mta-sts.a.test'] })
  server = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    requests.push(`${request.method} ${request.headers.host} ${request.url}`)
    respond(response)
  })
  await new Promise<void>((listening) => {
    server.listen(0, '127.0.0.1', listening)
  })
  const A = ['127.0.0.1']
  zone = await startZone({
    'mta-sts.a.test': { A },
    'mta-sts.b.test': { A },
    'mta-sts.dead.test': { A: ['127.0.0.2', '127.0.0.1'] },
  })
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await zone[Symbol.asyncDispose]()
})

function fetched(
  domain: string,
  answer: (response: ServerResponse) => void,
  signal = new AbortController().signal,
): Promise<PolicyAnswer> {
  respond = answer
  const { port } = server.address() as AddressInfo
  return httpsPolicyFetch({ resolver: zone.resolver, port, authorities: certificate.cert })(domain, { signal })
}

function plain(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(POLICY)
}

describe('a policy over HTTPS', () => {
  test('comes from the well-known place of the policy host', async () => {
    expect(await fetched('a.test', plain)).toEqual({ status: 'fetched', text: POLICY })
    expect(requests.at(-1)).toMatch(/^GET mta-sts\.a\.test(?::\d+)? \/\.well-known\/mta-sts\.txt$/)
  })

  test('is refused if the certificate is for another name', async () => {
    const asked = requests.length
    expect(await fetched('b.test', plain)).toMatchObject({ status: 'failed', reason: 'sts-webpki-invalid' })
    expect(requests.length).toBe(asked)
  })

  test('is refused if the authority is not trusted', async () => {
    const { port } = server.address() as AddressInfo
    const fetch = httpsPolicyFetch({ resolver: zone.resolver, port })
    expect(await fetch('a.test', { signal: new AbortController().signal })).toMatchObject({
      reason: 'sts-webpki-invalid',
    })
  })

  test.each<[string, (response: ServerResponse) => void, string]>([
    [
      'a redirect',
      (response) => response.writeHead(301, { location: 'https://mta-sts.a.test/other' }).end(),
      'the server answers 301',
    ],
    ['not found', (response) => response.writeHead(404).end(), 'the server answers 404'],
    [
      'another type',
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(POLICY),
      'the policy is not text/plain',
    ],
    [
      'too much',
      (response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(65_537)),
      'the policy is longer than 65536 bytes',
    ],
    [
      'a broken body',
      (response) => {
        response
          .writeHead(200, { 'content-type': 'text/plain', 'content-length': '99' })
          .write('x', () => response.destroy())
      },
      'the policy host cannot be reached',
    ],
    ['nothing', (response) => response.destroy(), 'the policy host cannot be reached'],
  ])('is a fetch error if the server answers with %s', async (_, answer, detail) => {
    expect(await fetched('a.test', answer)).toEqual({ status: 'failed', reason: 'sts-policy-fetch-error', detail })
  })

  test('is a fetch error if the policy host has no address, or nobody listens', async () => {
    expect(await fetched('gone.test', plain)).toMatchObject({ detail: 'the policy host has no address' })
    const fetch = httpsPolicyFetch({ resolver: zone.resolver, port: 1 })
    expect(await fetch('a.test', { signal: new AbortController().signal })).toMatchObject({
      detail: 'the policy host cannot be reached',
    })
  })

  test('ends when its signal says so', async () => {
    const controller = new AbortController()
    const answer = fetched('a.test', () => controller.abort(), controller.signal)
    expect(await answer).toMatchObject({ status: 'failed', reason: 'sts-policy-fetch-error' })
  })
})

describe('a policy by the fetch of the runtime', () => {
  function web(response: () => Response): Promise<PolicyAnswer> {
    const seen: typeof fetch = (url, init) => {
      expect(url).toBe('https://mta-sts.a.test/.well-known/mta-sts.txt')
      expect(init?.redirect).toBe('manual')
      return Promise.resolve(response())
    }
    return webPolicyFetch(seen)('a.test', { signal: new AbortController().signal })
  }
  const headers = { 'content-type': 'text/plain' }

  test('is what the response has', async () => {
    expect(await web(() => new Response(POLICY, { headers }))).toEqual({ status: 'fetched', text: POLICY })
    expect(await web(() => new Response(null, { headers }))).toEqual({ status: 'fetched', text: '' })
    expect(await web(() => new Response(null, { status: 302, headers }))).toMatchObject({
      detail: 'the server answers 302',
    })
    expect(await web(() => new Response('x'.repeat(70_000), { headers }))).toMatchObject({
      detail: 'the policy is longer than 65536 bytes',
    })
  })

  test('is a fetch error if fetch throws', async () => {
    const fetch = webPolicyFetch(() => Promise.reject(new TypeError('fetch failed')))
    expect(await fetch('a.test', { signal: new AbortController().signal })).toMatchObject({
      detail: 'the policy host cannot be reached',
    })
  })
})
