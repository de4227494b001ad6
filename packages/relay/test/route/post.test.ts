/** Posts of reports, to a server on loopback. */
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { selfSigned } from '@postern/runtime/tls'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { httpsPost } from '../../src/route/https/index.ts'
import { startZone, type ZoneServer } from './zone.ts'

const HOST = 'collect.far.test'
const BODY = Buffer.from('the report')

let server: Server
let zone: ZoneServer
let cert: string
let port: number
let status: number
const requests: string[] = []
beforeAll(async () => {
  const credentials = await selfSigned({ hosts: [HOST] })
  cert = credentials.cert
  server = createServer(credentials, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      requests.push(`${method} ${url} ${headers.host} ${headers['content-type']} ${Buffer.concat(chunks).toString()}`)
      if (status > 0) response.writeHead(status, { location: '/elsewhere' }).end('x'.repeat(100_000))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  port = (server.address() as AddressInfo).port
  const at = { A: ['127.0.0.1'] }
  // Nobody listens at the first address.
  zone = await startZone({ [HOST]: { A: ['127.0.0.9', '127.0.0.1'] }, 'other.far.test': at })
})
beforeEach(() => {
  status = 201
  requests.length = 0
})
afterAll(async () => {
  await zone[Symbol.asyncDispose]()
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
})

function post(url: string, timeoutMs = 20_000): Promise<void> {
  return httpsPost({ resolver: zone.resolver, authorities: [cert], timeoutMs })(url, 'application/tlsrpt+gzip', BODY)
}

test('a report is posted to the first address that takes it', async () => {
  await post(`https://${HOST}:${port}/v1?a=b`)
  expect(requests).toEqual([`POST /v1?a=b ${HOST}:${port} application/tlsrpt+gzip the report`])
})

test.each([301, 404, 503])('the answer %i is a failure, and no redirect is followed', async (answer) => {
  status = answer
  await expect(post(`https://${HOST}:${port}/v1`)).rejects.toThrow(`${HOST}:${port} answers ${answer}`)
  expect(requests).toHaveLength(1)
})

test('a server with a certificate for another name gets nothing', async () => {
  await expect(post(`https://other.far.test:${port}/v1`)).rejects.toThrow(/altnames/)
  expect(requests).toEqual([])
})

test('a server that does not answer is left when the time is over', async () => {
  status = 0
  await expect(post(`https://${HOST}:${port}/v1`, 300)).rejects.toThrow()
  expect(requests.length).toBeLessThan(2)
})

test('a host without an address is a failure', async () => {
  await expect(post(`https://gone.far.test:${port}/`)).rejects.toThrow('gone.far.test has no address')
})

test.each(['http://collect.far.test/', 'https://127.0.0.1/', 'https://[::1]/', 'https://2130706433/'])(
  'nothing is posted to %s',
  async (url) => {
    await expect(post(url)).rejects.toThrow('the URL of a report needs https and a name')
    expect(requests).toEqual([])
  },
)
