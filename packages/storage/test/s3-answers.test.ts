/** Answers of S3 servers that the real servers of other tests do not give. A fake server gives them here. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BlobStore } from '@postern/storage'
import { s3, type S3Options } from '@postern/storage/s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectCode, pattern } from './blob-contract.ts'
import { get, put } from './blobs.ts'

const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
let requests = 0

beforeAll(async () => {
  server = createServer((request, response) => {
    requests++
    request.resume().once('end', () => answer(request, response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function store(options: Partial<S3Options> = {}): BlobStore {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return s3({ bucket: 'mail', endpoint, credentials, deadlineMs: 5_000, ...options })
}

describe('a listing', () => {
  test.each(['', '<NextMarker>a</NextMarker>', '<NextContinuationToken/>'])(
    'that is truncated but has no token (%j) is an error, and not the end',
    async (next) => {
      answer = (_, response) =>
        response.end(
          `<ListBucketResult><IsTruncated>true</IsTruncated>${next}<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>`,
        )
      await expectCode('unavailable', () => store().list())
    },
  )
})

describe('credentials', () => {
  test.each([
    { ...credentials, accessKeyId: 'hunter2\nhunter2' },
    { ...credentials, sessionToken: 'hunter2\nhunter2' },
    { ...credentials, sessionToken: 'hunter2…' },
  ])('that cannot be sent are named in the error, but not repeated', async (wrong) => {
    requests = 0
    const error: unknown = await store({ credentials: wrong })
      .list()
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'denied' })
    expect(String(error)).toMatch(/(?:accessKeyId|sessionToken) is not/)
    for (let at = error; at instanceof Error; at = at.cause) expect(`${at.stack}${at.message}`).not.toContain('hunter2')
    expect(requests).toBe(0)
  })

  test.each(['ftp://user:hunter2@host', 'http://user:hunter2@host/?x', 'user:hunter2@host'])(
    'in an endpoint (%s) are not repeated',
    (endpoint) => {
      expect(() => store({ endpoint })).toThrow(/^endpoint: credentials are not part of it$/)
    },
  )
})

test.each(['http://127.0.0.1:9000', 'http://[::1]:9000'])(
  '%s is rejected as an endpoint with the bucket in its host name',
  (endpoint) => {
    expect(() => store({ endpoint, addressing: 'virtual-host' })).toThrow(/^endpoint: .* or addressing path$/)
  },
)

test('a put has only the digest that is signed, because some servers refuse others', async () => {
  let names: readonly string[] = []
  answer = (request, response) => {
    names = Object.keys(request.headers).filter((name) => /checksum|md5|sha256/.test(name))
    response.setHeader('etag', '"1"').end()
  }
  await put(store(), 'a', 'some bytes')
  expect(names).toEqual(['x-amz-content-sha256'])
})

test('the error does not repeat an answer that is not HTTP', async () => {
  answer = (request) => request.socket.end(`hunter2 ${'of a mail '.repeat(1_000)}\r\n\r\n`)
  const error = await expectCode('unavailable', () => store({ deadlineMs: 300 }).list())
  expect(String(error)).toContain('Parse Error')
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    expect(JSON.stringify({ ...at }).length).toBeLessThan(500)
  }
})

test('an object without a length is not read, and its connection is closed', async () => {
  const closed = new Promise<void>((resolve) => {
    answer = (request, response) => {
      request.socket.once('close', () => resolve())
      response.write('of no length')
    }
  })
  await expectCode('unavailable', () => store({ idleTimeoutMs: 120_000 }).read('a'))
  await closed
})

test('a slow reader does not cause a timeout of its connection', async () => {
  const bytes = pattern(4 * 1024 * 1024)
  answer = (_, response) => response.setHeader('content-length', bytes.length).end(bytes)
  const reader = await store({ idleTimeoutMs: 200 }).read('a')
  let size = 0
  for await (const chunk of reader.body) {
    if (size === 0) await new Promise((resolve) => setTimeout(resolve, 1_000))
    size += chunk.length
  }
  expect(size).toBe(bytes.length)
  // The timeout still applies: a connection without progress is closed.
  answer = (_, response) => response.setHeader('content-length', 10).write('half')
  const error = await expectCode('unavailable', () => get(store({ idleTimeoutMs: 200 }), 'a'))
  expect(error.message).toBe("can't read a: nothing moved for 200 ms")
})
