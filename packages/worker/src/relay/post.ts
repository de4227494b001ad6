/** Posts a message to a webhook, as a stream. */
import type { WebhookRequest } from '@postern/relay/onward'
import { streamOf } from './stream.ts'

/** A class that workerd has and the Web standards do not. */
declare const FixedLengthStream: new (byteLength: number) => TransformStream<Uint8Array, Uint8Array>

/** Makes a POST, and returns its status. Follows no redirect. */
export async function post({ url, size, body, headers, signal }: WebhookRequest): Promise<number> {
  // With it the request has a Content-Length. A body of another length breaks it.
  const { readable, writable } = new FixedLengthStream(size)
  const writing = streamOf(body).pipeTo(writable, { signal })
  const asking = fetch(url, { method: 'POST', headers, body: readable, redirect: 'manual', signal })
  // The answer may come before the body has gone, and a broken body also breaks the request.
  writing.catch(() => {})
  const response = await asking
  // Nobody reads the body.
  await response.body?.cancel()
  return response.status
}
