/** Does in workerd what a relay of a Worker needs: a policy by `fetch`, certificates for DANE, a delivery status report, a report on TLS. */
import { makeReport } from '../../src/report/index.ts'
import { createStsPolicies, type DaneCheck, verifyDane, webPolicyFetch } from '../../src/route/index.ts'
import { compressed, tlsReport } from '../../src/tls-report/index.ts'

export interface WorkerRequest {
  readonly policy: string
  /** Octets as numbers, because JSON has no bytes. */
  readonly certificates: readonly (readonly number[])[]
  readonly names: readonly string[]
  readonly tlsa: readonly { readonly usage: number; readonly data: readonly number[] }[]
}

export interface WorkerAnswer {
  readonly mode: string | undefined
  readonly failures: readonly (string | undefined)[]
  readonly report: string
  readonly compressed: readonly number[]
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { policy, certificates, names, tlsa } = (await request.json()) as WorkerRequest
    const text = 'v=STSv1; id=1'
    const found = { status: 'found', records: [{ strings: [text], text }], name: '', ttlSeconds: 1, isAuthentic: false }
    const resolver = { resolve: () => Promise.resolve(found as never) }
    const headers = { 'content-type': 'text/plain' }
    const fetch = webPolicyFetch(() => Promise.resolve(new Response(policy, { headers })))
    const lookup = await createStsPolicies({ resolver, fetch }).lookUp('a.test')
    const failures: (string | undefined)[] = []
    for (const { usage, data } of tlsa) {
      const check: DaneCheck = {
        tlsa: [{ usage, selector: 1, matchingType: 1, data: new Uint8Array(data) }],
        names,
        certificates: certificates.map((der) => new Uint8Array(der)),
        now: Date.now(),
      }
      failures.push((await verifyDane(check))?.type)
    }
    const answer: WorkerAnswer = {
      mode: lookup.policy?.mode,
      failures,
      report: await deliveryReport(),
      compressed: [
        ...(await compressed(
          tlsReport({
            counts: { domain: 'a.test', policies: [] },
            organization: 'x',
            contact: 'x',
            id: '2026-11-30',
            startsAt: 0,
            endsAt: 1,
          }),
        )),
      ],
    }
    return Response.json(answer)
  },
}

async function deliveryReport(): Promise<string> {
  const { content } = await makeReport({
    kind: 'failed',
    id: 'abcdefghij0123456789',
    now: 0,
    hostname: 'mx.own.test',
    message: { queuedAt: 0, envelope: { reversePath: 'ann@own.test', body: '7BIT', smtpUtf8: false } },
    recipients: [{ address: 'bob@a.test', action: 'failed', status: '5.1.1' }],
    async *read() {
      yield new TextEncoder().encode('Subject: caf\u00e9\r\n\r\nhello\r\n')
    },
  })
  let text = ''
  const decoder = new TextDecoder()
  for await (const piece of content) text += decoder.decode(piece, { stream: true })
  return text
}
