/** Posts a report with `node:https`, on Node, Deno and Bun. */
import type { Resolver } from '@postern/dns/names'
import { request, type RequestOptions } from 'node:https'
import { isIP } from 'node:net'
import { addressesOf } from './addresses.ts'

export interface HttpsPostOptions {
  readonly resolver: Resolver
  /** Authorities to trust, as PEM. Default: those of the runtime. */
  readonly authorities?: readonly string[] | undefined
  /** For each address of the host. Default 60,000. */
  readonly timeoutMs?: number | undefined
}

/** Resolves when the server has answered 2xx, and rejects otherwise. */
export type HttpsPost = (
  url: string,
  contentType: string,
  body: Uint8Array,
  signal?: AbortSignal | undefined,
) => Promise<void>

const HTTPS_PORT = 443

/**
 * Makes a post that follows no redirect. Strangers choose the URL: nothing is sent to a server that has no certificate of that name, so
 * the URL leads to no server that is not theirs.
 */
export function httpsPost({ resolver, authorities, timeoutMs = 60_000 }: HttpsPostOptions): HttpsPost {
  return async (text, contentType, body, signal) => {
    const url = new URL(text)
    const host = url.hostname
    if (url.protocol !== 'https:' || host.startsWith('[') || isIP(host) !== 0)
      throw new TypeError('the URL of a report needs https and a name')
    const late = AbortSignal.timeout(timeoutMs)
    const addresses = await addressesOf(host, resolver, signal === undefined ? late : AbortSignal.any([signal, late]))
    let last: unknown = new Error(`${host} has no address`)
    for (const address of addresses) {
      const ends = AbortSignal.timeout(timeoutMs)
      try {
        return await post(url, body, {
          host: address,
          port: url.port === '' ? HTTPS_PORT : Number(url.port),
          path: `${url.pathname}${url.search}`,
          servername: host,
          headers: { host: url.host, 'content-type': contentType, 'content-length': body.length },
          agent: false,
          signal: signal === undefined ? ends : AbortSignal.any([signal, ends]),
          ...(authorities !== undefined && { ca: [...authorities] }),
        })
      } catch (error) {
        last = error
        if (signal?.aborted === true) break
      }
    }
    throw last
  }
}

function post({ host }: URL, body: Uint8Array, options: RequestOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, method: 'POST' }, (response) => {
      const { statusCode = 0 } = response
      response.on('error', () => {})
      // Nobody reads the body.
      sent.destroy()
      if (statusCode >= 200 && statusCode < 300) resolve()
      else reject(new Error(`${host} answers ${statusCode}`))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
