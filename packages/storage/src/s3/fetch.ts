/** Requests by `fetch`, for workerd. */
import type { Transport } from './transport.ts'

export const byFetch: Transport = async ({ method, url, headers, body, signal }) => {
  const init = { method, headers, signal, redirect: 'manual' as const, ...(body !== undefined && { body }) }
  const response = await fetch(url, init)
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    body: pieces(response.body),
    discard: () => void response.body?.cancel().catch(() => undefined),
  }
}

async function* pieces(body: Response['body']): AsyncGenerator<Uint8Array> {
  if (body === null) return
  const reader = body.getReader()
  let isOver = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      isOver = done
      if (done) return
      yield value
    }
  } finally {
    if (!isOver) await reader.cancel().catch(() => undefined)
  }
}
