/** S3 servers of other authors, for tests. They check signatures, and each has some behaviour of its own. */
import { createHash, createHmac } from 'node:crypto'
import { request } from 'node:http'
import type { Started } from './started.ts'

export interface S3Server extends Started {
  readonly name: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Returns an unused bucket. */
  bucket(): Promise<string>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface Asked {
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/**
 * Sends a signed request without the code of the store, to check its objects, and to act as another user of the bucket.
 *
 * @param path of the bucket or object, with a slash in front, as it has to be in a URL
 */
export function ask(server: S3Server, method: string, path: string, options: Asked = {}): Promise<Answer> {
  const { query = {}, body = '' } = options
  const url = new URL(server.endpoint + path)
  const sorted = Object.entries(query).toSorted(([a], [b]) => (a < b ? -1 : 1))
  url.search = sorted.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
  const time = new Date().toISOString().replaceAll(/[:-]|\.\d{3}/g, '')
  const sha256 = createHash('sha256').update(body).digest('hex')
  const headers: Record<string, string> = {
    ...options.headers,
    host: url.host,
    'x-amz-content-sha256': sha256,
    'x-amz-date': time,
  }
  const names = Object.keys(headers).toSorted()
  const lines = names.map((name) => `${name}:${headers[name]}`)
  const canonical = [method, url.pathname, url.search.slice(1), ...lines, '', names.join(';'), sha256].join('\n')
  const scope = [time.slice(0, 8), server.region, 's3', 'aws4_request']
  const toSign = ['AWS4-HMAC-SHA256', time, scope.join('/'), createHash('sha256').update(canonical).digest('hex')]
  let key: string | Buffer = `AWS4${server.credentials.secretAccessKey}`
  for (const part of [...scope, toSign.join('\n')]) key = createHmac('sha256', key).update(part).digest()
  const credential = `${server.credentials.accessKeyId}/${scope.join('/')}`
  const signature = Buffer.from(key).toString('hex')
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  headers['content-length'] = String(Buffer.byteLength(body))
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject)
      answer.once('end', () => {
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() })
      })
    })
    sent.once('error', reject).end(body)
  })
}

/** Sends a request that must succeed. @throws with the answer of the server if it does not */
export async function mustAsk(server: S3Server, method: string, path: string, options?: Asked): Promise<Answer> {
  const answer = await ask(server, method, path, options)
  if (answer.status < 300) return answer
  throw new Error(`${server.name}: ${method} ${path}: ${answer.status} ${answer.body}`)
}

/** Returns the keys of unfinished uploads. */
export async function uploadsIn(server: S3Server, bucket: string): Promise<string[]> {
  const { body } = await mustAsk(server, 'GET', `/${bucket}`, { query: { uploads: '' } })
  return [...body.matchAll(/<Upload><Key>([^<]*)</g)].map((match) => match[1] as string)
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}
