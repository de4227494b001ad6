/** Sends requests by `fetch`, for workerd. */
import { chunksOf } from '../bucket/stream.ts'
import type { Transport } from './transport.ts'

export const byFetch: Transport = async ({ method, url, headers, body, signal }) => {
  const init = { method, headers, signal, redirect: 'manual' as const, ...(body !== undefined && { body }) }
  const response = await fetch(url, init)
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    body: response.body === null ? nothing() : chunksOf(response.body),
    discard: () => void response.body?.cancel().catch(() => undefined),
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
