/** A list of messages that a program signs inside any runtime. The same keys and time give the same signatures everywhere. */
import { createDkimSigner, SigningKey, type SigningKeyOptions } from '@postern/relay/signing'

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

export async function run({ nowMs, keys, messages, chunk }: Job): Promise<Signed[]> {
  const signer = createDkimSigner({ keys: keys.map(({ pem, ...options }) => new SigningKey(pem, options)) })
  const results: Signed[] = []
  for (const message of messages) {
    const signature = await signer.sign(pieces(Buffer.from(message, 'base64'), chunk), nowMs)
    const fields = Buffer.from(signature.fields).toString('latin1')
    results.push(signature.isSigned ? { fields } : { reason: signature.reason })
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
