/** A list of messages that a program signs and seals inside any runtime. The same keys and time give the same signatures everywhere. */
import { createArcSealer, createDkimSigner, SigningKey, type SigningKeyOptions } from '@postern/relay/signing'

export interface Job {
  readonly nowMs: number
  readonly keys: readonly (SigningKeyOptions & { readonly pem: string })[]
  /** In base64. */
  readonly messages: readonly string[]
  /** Octets of a chunk. */
  readonly chunk: number
}

/** What a message got on top, as text; or why it got nothing. */
export type Signed = { readonly fields: string } | { readonly reason: string }

/** Returns what each message got by DKIM, and behind these what each got by ARC. */
export async function run({ nowMs, keys: given, messages, chunk }: Job): Promise<Signed[]> {
  const keys = given.map(({ pem, ...options }) => new SigningKey(pem, options))
  const signer = createDkimSigner({ keys })
  const sealer = createArcSealer({ keys, domain: keys[0]?.domain ?? '', serverName: 'mx.example' })
  const results: Signed[] = []
  for (const message of messages) {
    const signature = await signer.sign(pieces(Buffer.from(message, 'base64'), chunk), nowMs)
    const fields = Buffer.from(signature.fields).toString('latin1')
    results.push(signature.isSigned ? { fields } : { reason: signature.reason })
  }
  for (const message of messages) {
    const verdict = { chain: 'none', results: 'none' } as const
    const seal = await sealer.seal(pieces(Buffer.from(message, 'base64'), chunk), verdict, nowMs)
    results.push(seal.isSealed ? { fields: Buffer.from(seal.fields).toString('latin1') } : { reason: seal.reason })
  }
  return results
}

/** Yields the same view for each piece: a signer that keeps one finds other bytes in it. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const view = new Uint8Array(size)
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    view.set(piece)
    yield view.subarray(0, piece.length)
    view.fill(0x21)
  }
}
