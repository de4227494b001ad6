/**
 * Finds out who sent a message, while it arrives: iprev, SPF, DKIM, ARC and DMARC.
 *
 * The message is read once. Its header is kept, up to 256 KiB, and its body is only hashed. DNS is asked while the body comes.
 */
import { confirmedName, type Resolver } from '@postern/dns/names'
import { asciiDomain, type Endpoint, parseIp } from '@postern/engine'
import { HeaderReader, type RawField } from '../signatures/index.ts'
import { type ArcChain, PendingChain } from './arc-chain.ts'
import { BodyHashes } from './bodies.ts'
import { authorOf, checkDmarc } from './dmarc.ts'
import { Lookups } from './lookups.ts'
import { findKey, type FoundKey } from './public-keys.ts'
import { senderOf } from './sender.ts'
import { checkMessageSignature, type PendingSignature } from './signature-check.ts'
import { isRefused, readSignature, type Refused, type SignatureField } from './signature-field.ts'
import { checkSpf } from './spf.ts'
import type { DkimVerdict, IprevVerdict, SpfVerdict, Verdicts } from './verdicts.ts'

export interface VerifierOptions {
  readonly resolver: Resolver
  /** The name of this server. Records of SPF may ask for it. */
  readonly hostname: string
  /**
   * How long DNS may take after the last byte of a message, and then once more for DMARC. A check without an answer is a `temperror`.
   * Default 5,000.
   */
  readonly timeoutMs?: number
  /** How many names may be looked up for one message, and then once more for DMARC. Default 200. */
  readonly maxLookups?: number
  /** Forwarders whose seals are believed: domains. Default: none. */
  readonly trustedSealers?: readonly string[]
  /** Called if a check fails by itself. Its result is then `temperror`. */
  failed?(error: unknown): void
  /** The time, for signatures that expire. Default `Date.now`. */
  readonly now?: () => number
}

/** What the session knows of a message. */
export interface MessageOrigin {
  readonly remote: Endpoint
  /** What the client calls itself. '' if it has not said. */
  readonly hello: string
  /** '' if it is null. */
  readonly reversePath: string
  /** What is known of the name of the client. Default: it is looked up. */
  readonly reverseDns?: { readonly result: IprevVerdict['result']; readonly name: string } | undefined
}

export interface Verifier {
  /** Begins with a message. SPF and iprev need nothing of its bytes. */
  begin(origin: MessageOrigin): Verification
}

/** The checks of one message. */
export interface Verification {
  /** Takes bytes as the client sent them. The view is not kept. */
  update(chunk: Uint8Array): void
  /** Returns the verdicts after the last byte. It never takes much longer than twice `timeoutMs`. */
  end(): Promise<Verdicts>
  /** Ends all lookups, because the message will never be whole. */
  cancel(): void
}

const MAX_SIGNATURES = 10
const TIMEOUT_MS = 5_000
const MAX_LOOKUPS = 200

/** @throws TypeError */
export function createVerifier(options: VerifierOptions): Verifier {
  const { timeoutMs = TIMEOUT_MS, maxLookups = MAX_LOOKUPS, trustedSealers = [] } = options
  for (const [name, value] of Object.entries({ timeoutMs, maxLookups })) {
    if (!(value >= 1 && value < 2 ** 31)) throw new TypeError(`${name}: ${value} is not from 1 to 2147483647`)
  }
  const sealers = new Set(trustedSealers.map(sealerDomain))
  return { begin: (origin) => new MessageVerification({ ...options, timeoutMs, maxLookups }, sealers, origin) }
}

function sealerDomain(text: string): string {
  const domain = asciiDomain(text)
  if (domain === undefined) throw new TypeError(`trustedSealers: ${JSON.stringify(text)} is not a domain`)
  return domain
}

type ResolvedOptions = VerifierOptions & Required<Pick<VerifierOptions, 'timeoutMs' | 'maxLookups'>>

/** What the header promises. */
interface Signatures {
  readonly fields: readonly RawField[]
  readonly dkim: readonly (PendingSignature | Refused)[]
  readonly chain: PendingChain
  readonly bodies: BodyHashes
}

/** What is known of the message besides its author. */
interface Facts {
  /** undefined: the header is too long to be read. */
  readonly fields: readonly RawField[] | undefined
  readonly client: { readonly iprev?: IprevVerdict; readonly spf: SpfVerdict }
  readonly dkim: readonly DkimVerdict[]
  readonly arc: ArcChain
}

const NO_CHAIN: ArcChain = { verdict: { result: 'none', sets: 0 }, passes: [] }

class MessageVerification implements Verification {
  readonly #options: ResolvedOptions
  readonly #sealers: ReadonlySet<string>
  readonly #lookups: Lookups
  /** The sender's own DNS, however slow, takes nothing from the lookups of the domain in From. */
  readonly #policyLookups: Lookups
  readonly #reader = new HeaderReader()
  readonly #iprev: Promise<IprevVerdict> | undefined
  readonly #spf: Promise<SpfVerdict>
  /** By their names. Signatures of one message often have one key. */
  readonly #keys = new Map<string, Promise<FoundKey | Refused>>()
  #signatures: Signatures | 'long-header' | undefined

  constructor(options: ResolvedOptions, sealers: ReadonlySet<string>, origin: MessageOrigin) {
    this.#options = options
    this.#sealers = sealers
    const lookups = (): Lookups => new Lookups(options.resolver, options.maxLookups, { client: origin.remote })
    this.#lookups = lookups()
    this.#policyLookups = lookups()
    const { remote, hello, reversePath } = origin
    const hasAddress = parseIp(remote.address) !== undefined
    const identity = reversePath === '' ? 'helo' : 'mailfrom'
    this.#iprev = hasAddress
      ? this.#attempt(() => this.#confirm(origin), { result: 'temperror', address: remote.address })
      : undefined
    this.#spf = hasAddress
      ? this.#attempt(
          () => checkSpf({ address: remote.address, hello, reversePath }, this.#lookups, options.hostname),
          { result: 'temperror', identity },
        )
      : Promise.resolve({ result: 'none', identity })
  }

  update(chunk: Uint8Array): void {
    const bodyAt = this.#reader.isDone ? 0 : this.#reader.take(chunk)
    if (!this.#reader.isDone) return
    const signatures = this.#header()
    if (signatures !== 'long-header') signatures.bodies.update(chunk.subarray(bodyAt))
  }

  async end(): Promise<Verdicts> {
    try {
      return await this.#verdicts()
    } finally {
      this.cancel()
    }
  }

  cancel(): void {
    this.#lookups.end()
    this.#policyLookups.end()
  }

  async #verdicts(): Promise<Verdicts> {
    const signatures = this.#header()
    const { fields, client, dkim, arc } = await this.#within(this.#lookups, () => this.#facts(signatures))
    if (fields === undefined)
      return { ...client, dkim, arc: arc.verdict, dmarc: { result: 'permerror', reason: 'long-header' } }
    const author = authorOf(fields)
    const dmarc = await this.#within(this.#policyLookups, () =>
      this.#attempt(() => checkDmarc(author, { spf: client.spf, dkim }, this.#policyLookups), {
        result: 'temperror',
        ...('domain' in author && { domain: author.domain }),
      }),
    )
    const verdicts: Verdicts = { ...client, dkim, arc: arc.verdict, dmarc }
    const sender = senderOf(verdicts, arc, this.#sealers)
    return sender === undefined ? verdicts : { ...verdicts, sender }
  }

  /** Finds out all that DMARC compares with From. */
  async #facts(signatures: Signatures | 'long-header'): Promise<Facts> {
    const [iprev, spf] = await Promise.all([this.#iprev, this.#spf])
    const client = { ...(iprev !== undefined && { iprev }), spf }
    if (signatures === 'long-header') return { fields: undefined, client, dkim: [], arc: NO_CHAIN }
    const { fields, chain } = signatures
    const bodies = signatures.bodies.end()
    const dkim = await Promise.all(
      signatures.dkim.map(async (one) =>
        isRefused(one) ? one : verdictOf(one, await checkMessageSignature(one, fields, bodies)),
      ),
    )
    return { fields, client, dkim, arc: await chain.check(bodies) }
  }

  /** Ends the lookups that have no answer in time. */
  async #within<T>(lookups: Lookups, check: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => lookups.end(), this.#options.timeoutMs)
    try {
      return await check()
    } finally {
      clearTimeout(timer)
    }
  }

  /** Reads the header, as soon as it is there, and begins to look up keys. */
  #header(): Signatures | 'long-header' {
    if (this.#signatures !== undefined) return this.#signatures
    const fields = this.#reader.readableFields()
    if (fields === 'long-header') return (this.#signatures = fields)
    const nowMs = (this.#options.now ?? Date.now)()
    const pending = (signature: SignatureField): PendingSignature => ({ signature, key: this.#key(signature) })
    const dkim = fields
      .filter(({ name }) => name === 'dkim-signature')
      .slice(0, MAX_SIGNATURES + 1)
      .map((field, at): PendingSignature | Refused => {
        if (at === MAX_SIGNATURES) return { result: 'neutral', reason: 'many-signatures' }
        const read = readSignature(field, 'dkim', nowMs)
        return isRefused(read) ? read : pending(read)
      })
    const chain = new PendingChain(fields, nowMs, pending)
    const forms = dkim.flatMap((one) => (isRefused(one) ? [] : [one.signature.bodyForm]))
    const bodies = new BodyHashes([...forms, ...(chain.bodyForm === undefined ? [] : [chain.bodyForm])])
    return (this.#signatures = { fields, dkim, chain, bodies })
  }

  #key(signature: SignatureField): Promise<FoundKey | Refused> {
    const { domain, selector, type, isExact } = signature
    const name = `${type} ${isExact} ${selector}._domainkey.${domain}`
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const key = this.#attempt<FoundKey | Refused>(() => findKey(signature, this.#lookups), {
      result: 'temperror',
      reason: 'dns',
      domain,
      selector,
    })
    this.#keys.set(name, key)
    return key
  }

  async #confirm({ remote, reverseDns }: MessageOrigin): Promise<IprevVerdict> {
    const { address } = remote
    const found = reverseDns ?? (await confirmedName(address, this.#lookups))
    const { result } = found
    return { result, address, ...(result === 'pass' && 'name' in found && { name: found.name }) }
  }

  /** Makes a result of a check that throws, so that a mistake in it never refuses a message. */
  async #attempt<T>(check: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await check()
    } catch (error) {
      this.#options.failed?.(error)
      return otherwise
    }
  }
}

function verdictOf(
  { signature }: PendingSignature,
  checked: Awaited<ReturnType<typeof checkMessageSignature>>,
): DkimVerdict {
  if (checked.result !== 'pass') return checked
  const { domain, selector, type } = signature
  return { result: 'pass', domain, selector, algorithm: `${type}-sha256`, ...(checked.isTest && { isTest: true }) }
}
