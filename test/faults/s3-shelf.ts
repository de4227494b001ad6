/** Reads a part of a bucket from the S3 server itself, without Postern's code and without the proxy. */
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

  /** Tests write only ASCII. */
  async read(key: string): Promise<Buffer> {
    return Buffer.from((await mustAsk(this.#server, 'GET', `/${this.#bucket}/${key}`)).body)
  }

  /** Returns the keys of uploads that were neither completed nor aborted. R2's server cannot list them. */
  async uploads(): Promise<string[]> {
    if (this.#server.name === 'r2') return []
    return valuesOf(await this.#list({ uploads: '' }), 'Key')
  }

  async #list(query: Readonly<Record<string, string>>): Promise<string> {
    const all = { prefix: this.#prefix, ...query }
    return (await mustAsk(this.#server, 'GET', `/${this.#bucket}`, { query: all })).body
  }
}

/** Returns the texts of the elements with this name. Keys of mail need no unescaping. */
function valuesOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '')
}
