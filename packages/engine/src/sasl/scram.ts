/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802, RFC 7677. The server stores keys from which nobody can log in, and
 * the exchange does not show the password. With -PLUS, both sides also prove that they are the ends of the same TLS connection.
 */
import { decodeBase64, encodeBase64 } from '../protocol/bytes/base64.ts'
import { decodeName, type Gs2Header, parseGs2 } from './gs2.ts'
import { HASH_OCTETS, hmac, sha256 } from './hmac.ts'
import type { Accounts, Exchange, Mechanism, SaslPeer, ScramKeys, Step } from './mechanism.ts'
import { challenge, isSameSecret, MALFORMED, octetsOf, randomText, REFUSED, textOf, xor } from './text.ts'

export interface ScramOptions {
  /** -PLUS. */
  readonly bindsChannel: boolean
  /** Makes the server's part of the nonce: printable ASCII without a comma. */
  readonly makeNonce?: () => string
}

/** What the client's first message says. */
interface ClientFirst {
  readonly header: Gs2Header
  readonly username: string
  readonly nonce: string
  /** The message without its header. */
  readonly bare: string
}

/** The iterations that unknown users seem to have: those that new records of `postern user` have. */
const DECOY_ITERATIONS = 100_000
/** The salts of unknown users are made from it. A Worker may make random numbers only while it serves a client, so it is made late. */
let decoySecret: Uint8Array | undefined

export function makeScram({ bindsChannel, makeNonce = () => randomText(24) }: ScramOptions): Mechanism {
  return {
    name: bindsChannel ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256',
    showsPassword: false,
    ...(bindsChannel && { needs: 'channel-binding' }),
    isSupported: (accounts) => accounts.scramKeys !== undefined,
    start: (accounts, peer) => new ScramExchange(accounts, peer, bindsChannel, makeNonce),
  }
}

class ScramExchange implements Exchange {
  readonly #accounts: Accounts
  readonly #peer: SaslPeer
  readonly #bindsChannel: boolean
  readonly #makeNonce: () => string
  /** Takes the client's next message. */
  #take: (message: string) => Step | Promise<Step> = (message) => this.#takeFirst(message)

  constructor(accounts: Accounts, peer: SaslPeer, bindsChannel: boolean, makeNonce: () => string) {
    this.#accounts = accounts
    this.#peer = peer
    this.#bindsChannel = bindsChannel
    this.#makeNonce = makeNonce
  }

  next(response: Uint8Array | undefined): Step | Promise<Step> {
    if (response === undefined) return challenge('')
    const message = textOf(response)
    return message === undefined ? MALFORMED : this.#take(message)
  }

  async #takeFirst(message: string): Promise<Step> {
    const first = parseFirst(message)
    if (first === undefined) return MALFORMED
    const { header, username } = first
    const bound = this.#boundOctets(header)
    if (bound === undefined || (header.authorizationId !== '' && header.authorizationId !== username)) return REFUSED
    const known = checkedKeys(await this.#accounts.scramKeys?.(username, 'SHA-256'))
    const keys = known ?? (await decoyKeys(username))
    const nonce = first.nonce + this.#makeNonce()
    const serverFirst = `r=${nonce},s=${encodeBase64(keys.salt)},i=${keys.iterations}`
    this.#take = (final) =>
      this.#takeFinal(final, { bare: first.bare, serverFirst, bound, nonce }, keys, known && username)
    return challenge(serverFirst)
  }

  /** @param username undefined for an unknown user */
  async #takeFinal(
    message: string,
    sent: { readonly bare: string; readonly serverFirst: string; readonly bound: Uint8Array; readonly nonce: string },
    keys: ScramKeys,
    username: string | undefined,
  ): Promise<Step> {
    const final = parseFinal(message)
    if (final === undefined) return MALFORMED
    const authMessage = octetsOf(`${sent.bare},${sent.serverFirst},${final.withoutProof}`)
    const [clientSignature, serverSignature] = await Promise.all([
      hmac(keys.storedKey, authMessage),
      hmac(keys.serverKey, authMessage),
    ])
    const storedKey = await sha256(xor(clientSignature, final.proof))
    const isProved = isSameSecret(storedKey, keys.storedKey)
    const isWhole = isSameSecret(final.binding, sent.bound) && final.nonce === sent.nonce
    if (!isProved || !isWhole || username === undefined) return REFUSED
    // SMTP has no place for it in the last reply, so it is a challenge, and the client responds with nothing (RFC 4954 4).
    this.#take = (rest) => (rest === '' ? { user: keys.user ?? username } : MALFORMED)
    return challenge(`v=${encodeBase64(serverSignature)}`)
  }

  /** Returns what the client has to repeat: its header, and with -PLUS the data of the channel. undefined refuses. */
  #boundOctets({ binding, text }: Gs2Header): Uint8Array | undefined {
    const { channelBinding, offersChannelBinding } = this.#peer
    if (binding.flag !== 'p') {
      // Somebody between took the -PLUS mechanism off the list that the client saw (RFC 5802 6).
      const isStripped = binding.flag === 'y' && offersChannelBinding
      return this.#bindsChannel || isStripped ? undefined : octetsOf(text)
    }
    const data = this.#bindsChannel ? channelBinding?.(binding.type) : undefined
    return data && new Uint8Array([...octetsOf(text), ...data])
  }
}

/** Parses the client's first message: `n,,n=user,r=nonce`. */
function parseFirst(message: string): ClientFirst | undefined {
  const header = parseGs2(message)
  if (header === undefined) return undefined
  const bare = message.slice(header.text.length)
  // An extension that the server has to know would come first: `m=`.
  const [name = '', nonce = ''] = bare.split(',')
  const username = name.startsWith('n=') ? decodeName(name.slice(2)) : undefined
  if (username === undefined || !/^r=[\x21-\x2b\x2d-\x7e]{1,512}$/.test(nonce)) return undefined
  return { header, username, nonce: nonce.slice(2), bare }
}

/** Parses the client's final message: `c=…,r=…,p=…`. */
function parseFinal(
  message: string,
): { binding: Uint8Array; nonce: string; proof: Uint8Array; withoutProof: string } | undefined {
  const end = message.lastIndexOf(',p=')
  if (end === -1) return undefined
  const withoutProof = message.slice(0, end)
  const proof = decodeBase64(message.slice(end + 3))
  const [channel = '', nonce = ''] = withoutProof.split(',')
  const binding = channel.startsWith('c=') ? decodeBase64(channel.slice(2)) : undefined
  if (proof?.length !== HASH_OCTETS || binding === undefined || !nonce.startsWith('r=')) return undefined
  return { binding, nonce: nonce.slice(2), proof, withoutProof }
}

/** Rejects an invalid answer of the accounts. */
function checkedKeys(keys: ScramKeys | undefined): ScramKeys | undefined {
  if (keys === undefined) return undefined
  const { salt, iterations, storedKey, serverKey } = keys
  const isValid =
    salt instanceof Uint8Array &&
    salt.length > 0 &&
    Number.isSafeInteger(iterations) &&
    iterations > 0 &&
    [storedKey, serverKey].every((key) => key instanceof Uint8Array && key.length === HASH_OCTETS)
  if (!isValid) throw new TypeError('scramKeys answers with salt, iterations, and two keys of 32 octets, or nothing')
  return keys
}

/** Returns keys that no password fits. The salt of a name stays the same. */
async function decoyKeys(username: string): Promise<ScramKeys> {
  decoySecret ??= crypto.getRandomValues(new Uint8Array(HASH_OCTETS))
  const salt = (await hmac(decoySecret, octetsOf(username))).slice(0, 16)
  return { salt, iterations: DECOY_ITERATIONS, storedKey: decoySecret, serverKey: decoySecret }
}
