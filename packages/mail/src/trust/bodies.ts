/** The hashes of a body that the signatures of one message need. There are at most two. */
import { BodyHash, type Canonicalization } from '../signatures/index.ts'

export interface HashedBody {
  /** As base64. */
  readonly digest: string
  readonly octets: number
}

export class BodyHashes {
  readonly #hashes = new Map<Canonicalization, BodyHash>()
  readonly #done = new Map<Canonicalization, HashedBody>()

  constructor(forms: Iterable<Canonicalization>) {
    for (const form of forms) if (!this.#hashes.has(form)) this.#hashes.set(form, new BodyHash(form))
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk)
  }

  end(): ReadonlyMap<Canonicalization, HashedBody> {
    for (const [form, hash] of this.#hashes) {
      const digest = hash.digest()
      this.#done.set(form, { digest, octets: hash.octets })
    }
    return this.#done
  }
}
