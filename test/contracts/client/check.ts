/** What the checks of the client have in common: plain data, without a test runner and for any runtime. */
import type { Client, ClientError, ClientOptions, OutgoingEnvelope, SendResult } from '@postern/engine/client'

/** How a client reaches the server. 'old server' has neither PIPELINING nor CHUNKING; the certificate of 'untrusted server' is from nobody. */
export const WAYS = [
  'clear',
  'STARTTLS',
  'implicit TLS',
  'LMTP',
  'LMTP over a Unix socket',
  'old server',
  'untrusted server',
] as const
export type Way = (typeof WAYS)[number]

/** The ways that end in an ordinary server. */
export const ORDINARY: readonly Way[] = ['clear', 'STARTTLS', 'implicit TLS', 'LMTP', 'LMTP over a Unix socket']
export const SECURE: readonly Way[] = ['STARTTLS', 'implicit TLS']

export interface GroundTls {
  readonly servername?: string
  readonly verify?: boolean
  readonly cert?: string
  readonly key?: string
}

/** What a check gives to `connect`. The ground adds what its runtime needs, and the trusted authority. */
export interface GroundOptions extends Omit<ClientOptions, 'hostname' | 'protocol'> {
  readonly tls?: GroundTls
}

/** The servers, and the client of one runtime. */
export interface Ground {
  /** Missing if the runtime does not have it. */
  readonly urls: Readonly<Partial<Record<Way, string>>>
  /** A certificate that the servers trust, for EXTERNAL. */
  readonly certificate: { readonly key: string; readonly cert: string }
  connect(url: string, options?: GroundOptions): Promise<Client>
}

/** One way to the server, for a check. */
export interface Road {
  readonly way: Way
  readonly url: string
  readonly ground: Ground
  open(options?: GroundOptions): Promise<Client>
}

export interface ClientCheck {
  readonly name: string
  readonly ways: readonly Way[]
  run(road: Road): Promise<void>
}

/** What the server says of a message that it took. */
export interface Taken {
  readonly from: string
  readonly to: readonly string[]
  readonly size: number
  readonly sha256: string
  readonly user: string
  readonly type: string
  readonly parameters: string
}

export const FROM = 'ann@sender.example'
export const TO = 'bob@postern.example'

export function envelope(forwardPaths: OutgoingEnvelope['forwardPaths'] = [TO]): OutgoingEnvelope {
  return { reversePath: FROM, forwardPaths }
}

export function octets(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>
}

/** Returns what the server says that it has taken. */
export function taken({ reply }: SendResult): Taken {
  return JSON.parse(reply.text) as Taken
}

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (octet) => octet.toString(16).padStart(2, '0')).join('')
}

export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  const [one, other] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}: ${one}, not ${other}`)
}

/** Returns the error of the client, which must have these properties. */
export async function expectFailure(attempt: Promise<unknown>, expected: Partial<ClientError>): Promise<ClientError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason as ClientError,
  )
  if (error?.name !== 'ClientError') throw new Error(`there is no ClientError: ${String(error)}`)
  for (const [key, value] of Object.entries(expected)) {
    const actual = (error as unknown as Record<string, unknown>)[key]
    if (actual !== value) throw new Error(`${key} is ${String(actual)}, not ${String(value)}: ${error.message}`)
  }
  if (/[\r\n]/.test(error.message)) throw new Error(`the message has more than one line: ${error.message}`)
  return error
}

/** Records the lines of both sides: `C: NOOP`, `S: 250 …`. */
export function recorded(): { lines: string[]; trace: NonNullable<ClientOptions['trace']> } {
  const lines: string[] = []
  return { lines, trace: ({ side, text }) => void lines.push(`${side === 'client' ? 'C' : 'S'}: ${text}`) }
}
