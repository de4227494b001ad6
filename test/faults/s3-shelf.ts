/** What is in a part of a bucket, asked of the S3 server itself: none of Postern's code, and not through a proxy. */
import { mustAsk, type S3Server } from '../../packages/storage/test/servers/server.ts'
import type { Shelf } from './row.ts'

export class S3Shelf implements Shelf {
  readonly #server: S3Server
  readonly #bucket: string
  readonly #prefix: string

  constructor(server: S3Server, bucket: string, prefix: string) {
    this.#server = server
    this.#bucket = bucket
    this.#prefix = `${prefix}/`
  }

  async keys(): Promise<string[]> {
    const keys: string[] = []
    for (let token: string | undefined; ;) {
      const more = token === undefined ? {} : { 'continuation-token': token }
      const xml = await this.#list({ 'list-type': '2', ...more })
      keys.push(...valuesOf(xml, 'Key'))
      token = valuesOf(xml, 'NextContinuationToken')[0]
      if (token === undefined || !xml.includes('<IsTruncated>true')) return keys
    }
  }

  /** What tests put there is ASCII. */
  async read(key: string): Promise<Buffer> {
    return Buffer.from((await mustAsk(this.#server, 'GET', `/${this.#bucket}/${key}`)).body)
  }

  /** Keys of uploads of parts that were neither completed nor given up. R2's does not tell. */
  async uploads(): Promise<string[]> {
    if (this.#server.name === 'r2') return []
    return valuesOf(await this.#list({ uploads: '' }), 'Key')
  }

  async #list(query: Readonly<Record<string, string>>): Promise<string> {
    const all = { prefix: this.#prefix, ...query }
    return (await mustAsk(this.#server, 'GET', `/${this.#bucket}`, { query: all })).body
  }
}

/** What stands in the elements of this name; keys of mail need no unescaping. */
function valuesOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '')
}
