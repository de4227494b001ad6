/**
 * Gets policies of MTA-STS with `node:https`, on Node, Deno and Bun. The runtime's `fetch` cannot do this: it neither takes a
 * resolver, nor other authorities on Node.
 */
import type { Resolver } from '@postern/dns/names'
import type { IncomingMessage } from 'node:http'
import { request, type RequestOptions } from 'node:https'
import { fetchFailed, type PolicyAnswer, type PolicyFetch, readResponse } from '../sts/fetch.ts'
import { addressesOf } from './addresses.ts'

export type { HttpsPost, HttpsPostOptions } from './post.ts'
export { httpsPost } from './post.ts'

export interface HttpsPolicyOptions {
  readonly resolver: Resolver
  /** Default 443. */
  readonly port?: number | undefined
  /** Authorities to trust, as PEM. Default: those of the runtime. */
  readonly authorities?: string | readonly string[] | undefined
}

const HTTPS_PORT = 443
/** Codes of OpenSSL and of Node for a certificate that is refused. */
const CERTIFICATE_ERROR = /CERT|SIGNATURE|ISSUER|CRL|ALTNAME/

export function httpsPolicyFetch(options: HttpsPolicyOptions): PolicyFetch {
  return async (domain, { signal }) => {
    const host = `mta-sts.${domain}`
    const addresses = await addressesOf(host, options.resolver, signal)
    let last = fetchFailed('the policy host has no address')
    for (const address of addresses) {
      if (signal.aborted) break
      const answer = await get(host, address, options, signal)
      if (answer.status === 'fetched') return answer
      last = answer
    }
    return last
  }
}

function get(host: string, address: string, options: HttpsPolicyOptions, signal: AbortSignal): Promise<PolicyAnswer> {
  const { port = HTTPS_PORT, authorities } = options
  const asked: RequestOptions = {
    host: address,
    port,
    path: '/.well-known/mta-sts.txt',
    // The certificate must be for this name (RFC 8461 3.3).
    servername: host,
    headers: { host, accept: 'text/plain' },
    agent: false,
    signal,
    ...(authorities === undefined ? {} : { ca: typeof authorities === 'string' ? authorities : [...authorities] }),
  }
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve(failureOf(error))
    const sent = request(asked, (response) => {
      read(response).then(resolve, failed)
    })
    sent.on('error', failed)
    sent.end()
  })
}

async function read(response: IncomingMessage): Promise<PolicyAnswer> {
  const { statusCode = 0, headers } = response
  try {
    return await readResponse({ status: statusCode, contentType: headers['content-type'] ?? '', body: response })
  } finally {
    response.destroy()
  }
}

function failureOf(error: Error): PolicyAnswer {
  const { code = '' } = error as NodeJS.ErrnoException
  if (!CERTIFICATE_ERROR.test(code)) return fetchFailed('the policy host cannot be reached')
  return {
    status: 'failed',
    reason: 'sts-webpki-invalid',
    detail: `the certificate of the policy host is refused: ${code}`,
  }
}
