/** Gets a policy by HTTPS (RFC 8461 3.3), with the runtime's `fetch`. */
import type { TlsFailureType } from '../outcome.ts'

/** Gets the policy of a domain. Never rejects. */
export type PolicyFetch = (domain: string, options: PolicyFetchOptions) => Promise<PolicyAnswer>

export interface PolicyFetchOptions {
  /** Aborted when the time is over. */
  readonly signal: AbortSignal
}

export type PolicyAnswer =
  | { readonly status: 'fetched'; readonly text: string }
  | {
      readonly status: 'failed'
      readonly reason: Extract<TlsFailureType, 'sts-policy-fetch-error' | 'sts-webpki-invalid' | 'sts-policy-invalid'>
      readonly detail: string
    }

/** RFC 8461 3.3 suggests this bound. */
export const MAX_POLICY_BYTES = 65_536

/** What both ways of HTTPS look at. */
export interface PolicyResponse {
  readonly status: number
  readonly contentType: string
  readonly body: AsyncIterable<Uint8Array>
}

/** Reads a response. @throws what the body throws */
export async function readResponse({ status, contentType, body }: PolicyResponse): Promise<PolicyAnswer> {
  // Redirects are not followed, and no other status is a policy (RFC 8461 3.3).
  if (status !== 200) return fetchFailed(`the server answers ${status}`)
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'text/plain') return fetchFailed('the policy is not text/plain')
  const bytes = new Uint8Array(MAX_POLICY_BYTES)
  let length = 0
  for await (const chunk of body) {
    // Leaving the loop ends the response.
    if (length + chunk.length > bytes.length) return fetchFailed(`the policy is longer than ${MAX_POLICY_BYTES} bytes`)
    bytes.set(chunk, length)
    length += chunk.length
  }
  return { status: 'fetched', text: new TextDecoder().decode(bytes.subarray(0, length)) }
}

export function fetchFailed(detail: string): PolicyAnswer {
  return { status: 'failed', reason: 'sts-policy-fetch-error', detail }
}

/** Makes a fetch of policies for runtimes without sockets. The runtime looks up the name, and trusts its own authorities. */
export function webPolicyFetch(send: typeof fetch = fetch): PolicyFetch {
  return async (domain, { signal }) => {
    try {
      const url = `https://mta-sts.${domain}/.well-known/mta-sts.txt`
      // Workers do not know `redirect: 'error'`.
      const response = await send(url, { redirect: 'manual', signal })
      const contentType = response.headers.get('content-type') ?? ''
      return await readResponse({ status: response.status, contentType, body: response.body ?? empty() })
    } catch {
      return fetchFailed('the policy host cannot be reached')
    }
  }
}

async function* empty(): AsyncGenerator<Uint8Array> {}
