/** A Worker that verifies. Its `fetch` hands a message to `email`, and answers with what the bucket then has. */
import type { Resolver } from '@postern/dns/names'
import { blobOverflow, createVerification } from '@postern/intake/verification'
import { createVerifier } from '@postern/mail/trust'
import { memory } from '@postern/storage/memory'
import { createReceiver, emailHandler } from '@postern/worker'

interface Given {
  /** Records of TXT by their names. */
  readonly records: Readonly<Record<string, string>>
  /** In base64. */
  readonly message: string
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { records, message } = (await request.json()) as Given
    const absent = { status: 'nxdomain', ttlSeconds: 0, isAuthentic: false } as const
    const resolver: Resolver = {
      async resolve(name, type) {
        const text = type === 'TXT' ? records[name] : undefined
        if (text === undefined) return absent
        return { ...absent, status: 'found', name, records: [{ text, strings: [text] }] as never }
      },
    }
    const blobs = memory()
    const receiver = createReceiver<object>({
      store: () => blobs,
      settings: { hostname: 'mx.example.com', domains: 'example.com' },
      verification: (_, { settings: { hostname }, blobs: place }) =>
        createVerification({
          hostname,
          verifier: createVerifier({ resolver, hostname }),
          policy: 'reject',
          overflow: blobOverflow(place),
        }),
    })
    const bytes = Buffer.from(message, 'base64')
    let refusal: string | undefined
    await emailHandler(receiver)(
      {
        from: 'ann@sender.example',
        to: 'joe@example.com',
        raw: new Response(bytes).body as ReadableStream<Uint8Array>,
        rawSize: bytes.length,
        setReject: (reason: string) => void (refusal = reason),
      },
      {},
    )
    const { mail } = receiver.open({})
    const { records: kept } = await mail.list()
    const texts = await Promise.all(
      kept.map(async ({ id }) => Buffer.from(await (await mail.load(id)).bytes()).toString('latin1')),
    )
    const { keys } = await blobs.list({ prefix: 'verification/' })
    return Response.json({ refusal, verdicts: kept.map(({ verdicts }) => verdicts), texts, waiting: keys })
  },
}
