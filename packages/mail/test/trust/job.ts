/** Messages that a program verifies inside any runtime. */
import { createVerifier, type MessageOrigin, resultsField, type Verdicts } from '@postern/mail/trust'
import { type Zone, zoneResolver } from './zone.ts'

export interface JobMessage {
  /** An index of `zones`. */
  readonly zone: number
  readonly address: string
  readonly hello: string
  readonly reversePath: string
  /** In base64. */
  readonly message: string
}

export interface Job {
  readonly zones: readonly Zone[]
  readonly messages: readonly JobMessage[]
  /** Octets of a chunk. */
  readonly chunk: number
  readonly nowMs: number
  readonly trustedSealers?: readonly string[]
}

export interface Verified {
  readonly verdicts: Verdicts
  readonly field: string
}

const HOSTNAME = 'mx.receiver.example'

/** Verifies each message. */
export async function run({ zones, messages, chunk, nowMs, trustedSealers = [] }: Job): Promise<Verified[]> {
  const verified: Verified[] = []
  const verifiers = zones.map((zone) =>
    createVerifier({
      resolver: zoneResolver(zone),
      hostname: HOSTNAME,
      now: () => nowMs,
      trustedSealers,
      failed(error) {
        throw error
      },
    }),
  )
  for (const { zone, address, hello, reversePath, message } of messages) {
    const verification = verifiers[zone]?.begin(originOf(address, hello, reversePath))
    if (verification === undefined) throw new Error('there is no such zone')
    const bytes = Buffer.from(message, 'base64')
    // The same view for each piece: a verifier that keeps one finds other bytes in it.
    const view = new Uint8Array(chunk)
    for (let at = 0; at < bytes.length; at += chunk) {
      const piece = bytes.subarray(at, at + chunk)
      view.set(piece)
      verification.update(view.subarray(0, piece.length))
      view.fill(0x21)
    }
    const verdicts = await verification.end()
    verified.push({ verdicts, field: resultsField(HOSTNAME, verdicts) })
  }
  return verified
}

export function originOf(address: string, hello: string, reversePath: string): MessageOrigin {
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  return { remote: { family, address, port: 25 }, hello, reversePath }
}
