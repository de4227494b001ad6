/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: RFC 5802, RFC 7677. The client does not show the password, and the server proves that it has
 * the keys of the user.
 */
import { decodeBase64, encodeBase64 } from '../../protocol/bytes/base64.ts'
import { type ChannelFlag, encodeName, writeGs2 } from '../gs2.ts'
import { HASH_OCTETS, hmac, sha256 } from '../hmac.ts'
import { isSameSecret, octetsOf, randomText, textOf, xor } from '../text.ts'
import { hasPassword, type PasswordCredentials } from './credentials.ts'
import { type ClientExchange, type ClientMechanism, type ClientSaslPeer, MechanismError } from './mechanism.ts'
import { saslprep } from './saslprep.ts'

export interface ClientScramOptions {
  /** -PLUS. */
  readonly bindsChannel: boolean
  /** Makes the client's part of the nonce: printable ASCII without a comma. */
  readonly makeNonce?: () => string
}

/** The types of channel binding, the best first: RFC 9266, RFC 5929. */
const BINDINGS = ['tls-exporter', 'tls-server-end-point'] as const
/** RFC 7677 4. With fewer, somebody who reads the exchange guesses the password sooner. */
const MIN_ITERATIONS = 4_096
/** A server chooses the number, and the client computes that many hashes. This many take a second on a slow machine. */
const MAX_ITERATIONS = 1_000_000
const NONCE = /^r=[\x21-\x2b\x2d-\x7e]{1,1024}$/
const ITERATIONS = /^i=[1-9][0-9]{0,9}$/

export function makeScram({ bindsChannel, makeNonce = () => randomText(24) }: ClientScramOptions): ClientMechanism {
  return {
    name: bindsChannel ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256',
    showsSecret: false,
    ...(bindsChannel && { needs: 'channel-binding' }),
    isSupported: hasPassword,
    start(credentials, peer) {
      if (!hasPassword(credentials)) throw new MechanismError('SCRAM needs a user name and a password')
      return new ClientScram(credentials, bindingOf(peer, bindsChannel), makeNonce())
    },
  }
}

/** What the client says of the channel, and the channel's data if the client binds to it. */
interface Binding {
  readonly flag: ChannelFlag
  readonly data: Uint8Array
}

function bindingOf({ channelBinding, offersChannelBinding }: ClientSaslPeer, bindsChannel: boolean): Binding {
  if (!bindsChannel) {
    // With 'y' the server refuses the login if it does offer channel binding: somebody between took that off the list (RFC 5802 6).
    const flag = channelBinding !== undefined && !offersChannelBinding ? 'y' : 'n'
    return { flag: { flag }, data: new Uint8Array() }
  }
  for (const type of BINDINGS) {
    const data = channelBinding?.(type)
    if (data !== undefined) return { flag: { flag: 'p', type }, data }
  }
  throw new MechanismError('the connection has no channel binding')
}

class ClientScram implements ClientExchange {
  readonly #password: string
  readonly #binding: Binding
  readonly #header: string
  readonly #nonce: string
  /** The first message without its header. */
  readonly #bare: string
  #stage: 'first' | 'final' | 'proved' | 'refused' = 'first'
  #serverSignature: Uint8Array = new Uint8Array()

  constructor({ username, password, authorizationId = '' }: PasswordCredentials, binding: Binding, nonce: string) {
    this.#password = saslprep(password, 'password')
    this.#binding = binding
    this.#header = writeGs2(binding.flag, authorizationId)
    this.#nonce = nonce
    this.#bare = `n=${encodeName(saslprep(username, 'user name'))},r=${nonce}`
  }

  initial(): Uint8Array {
    return octetsOf(this.#header + this.#bare)
  }

  next(challenge: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const message = textOf(challenge) ?? ''
    if (this.#stage === 'first') return this.#takeFirst(message)
    if (this.#stage === 'final') return this.#takeFinal(message)
    throw new MechanismError('the server asks for more than SCRAM has')
  }

  succeeded(): void {
    if (this.#stage !== 'proved') throw new MechanismError('the server has not proved that it knows the password')
  }

  async #takeFirst(serverFirst: string): Promise<Uint8Array> {
    const { nonce, salt, iterations } = parseFirst(serverFirst, this.#nonce)
    const salted = await saltedPassword(this.#password, salt, iterations)
    const [clientKey, serverKey] = await Promise.all([
      hmac(salted, octetsOf('Client Key')),
      hmac(salted, octetsOf('Server Key')),
    ])
    const bound = new Uint8Array([...octetsOf(this.#header), ...this.#binding.data])
    const withoutProof = `c=${encodeBase64(bound)},r=${nonce}`
    const authMessage = octetsOf(`${this.#bare},${serverFirst},${withoutProof}`)
    const [clientSignature, serverSignature] = await Promise.all([
      hmac(await sha256(clientKey), authMessage),
      hmac(serverKey, authMessage),
    ])
    this.#serverSignature = serverSignature
    this.#stage = 'final'
    return octetsOf(`${withoutProof},p=${encodeBase64(xor(clientKey, clientSignature))}`)
  }

  #takeFinal(serverFinal: string): Uint8Array {
    // The server names an error before it refuses the login.
    this.#stage = serverFinal.startsWith('e=') ? 'refused' : 'proved'
    if (this.#stage === 'proved') {
      const [verifier = ''] = serverFinal.split(',', 1)
      const signature = verifier.startsWith('v=') ? decodeBase64(verifier.slice(2)) : undefined
      if (signature === undefined || !isSameSecret(signature, this.#serverSignature)) {
        this.#stage = 'refused'
        throw new MechanismError('the server does not know the password: its signature is wrong')
      }
    }
    return new Uint8Array()
  }
}

/** Parses the server's first message: `r=…,s=…,i=4096`. An extension that the client has to know would come first: `m=`. */
function parseFirst(message: string, ownNonce: string): { nonce: string; salt: Uint8Array; iterations: number } {
  const [nonceField = '', saltField = '', countField = ''] = message.split(',', 3)
  const salt = saltField.startsWith('s=') ? decodeBase64(saltField.slice(2)) : undefined
  if (!NONCE.test(nonceField) || salt === undefined || salt.length === 0 || !ITERATIONS.test(countField))
    throw new MechanismError("the server's first message is malformed")
  const nonce = nonceField.slice(2)
  if (!nonce.startsWith(ownNonce) || nonce.length === ownNonce.length)
    throw new MechanismError("the server's nonce does not continue the client's")
  const iterations = Number(countField.slice(2))
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS)
    throw new MechanismError(
      `the server wants ${iterations} iterations: ${MIN_ITERATIONS} to ${MAX_ITERATIONS} are allowed`,
    )
  return { nonce, salt, iterations }
}

/** @throws MechanismError if the runtime allows fewer iterations: Cloudflare's network allows 100,000 */
async function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey('raw', octetsOf(password), 'PBKDF2', false, ['deriveBits'])
  const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: new Uint8Array(salt), iterations }
  try {
    return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, HASH_OCTETS * 8))
  } catch (error) {
    throw new MechanismError(`the runtime does not compute ${iterations} iterations`, { cause: error })
  }
}
