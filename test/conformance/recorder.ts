/** A server that records the calls of its hooks for each connection. Its profile is plain data, and it needs no certain runtime. */
import { Buffer } from 'node:buffer'
import {
  type AddressRanges,
  addressRanges,
  deliverBy,
  dsn,
  type Extension,
  futureRelease,
  type Handlers,
  type Limits,
  type Message,
  MessageError,
  mtPriority,
  type PathWithParameters,
  Refusal,
  type Reply,
  reply,
  requireTls,
  type ServerOptions,
  type Session,
  type SessionOverrides,
  xclient,
  xforward,
} from '@postern/engine'
import type { Counts } from './counted.ts'

/** The extensions that a program adds. */
type AddedExtension = 'DSN' | 'REQUIRETLS' | 'MT-PRIORITY' | 'DELIVERBY' | 'FUTURERELEASE'
const EXTENSIONS: { readonly [Keyword in AddedExtension]: Extension } = {
  DSN: dsn,
  REQUIRETLS: requireTls,
  'MT-PRIORITY': mtPriority({ policy: 'MIXER' }),
  DELIVERBY: deliverBy({ minSeconds: 60 }),
  FUTURERELEASE: futureRelease({ maxSeconds: 900_000_000 }),
}

/** The settings of a server. They are plain data, so that they can be passed to another runtime. */
export interface Profile {
  readonly limits?: Partial<Limits>
  readonly bareLineEndings?: 'reject' | 'normalise' | 'preserve'
  readonly addresses?: 'strict' | 'lenient'
  readonly disabled?: readonly string[]
  /** Default: DSN. */
  readonly extensions?: readonly AddedExtension[]
  readonly greetingDelayMs?: number
  /** When the server offers AUTH: only under TLS, or always. */
  readonly auth?: 'with-tls' | 'always'
  readonly authRequired?: true
  /** The texts of the options of the same name, `auth.requiredText` for the second. */
  readonly helloText?: string
  readonly authRequiredText?: string
  readonly tlsRequired?: true
  /** True if the listener has no certificate, so that STARTTLS is impossible. */
  readonly withoutCertificate?: true
  readonly implicitTls?: true
  readonly protocol?: 'lmtp'
  /** Who may send XCLIENT, and XFORWARD. The hooks then record who the client is. */
  readonly trusted?: 'all' | readonly string[]
}

/** A message that the server answered with 250. */
export interface Kept {
  readonly from: string
  readonly to: readonly string[]
  /** Latin-1, with one character for each octet. */
  readonly text: string
  readonly trace: string
}

/** The hook calls of one connection, in order. */
export interface Record extends Counts {
  readonly events: string[]
  readonly kept: Kept[]
  readonly errors: unknown[]
  session: Session | undefined
}

export const HOSTNAME = 'mx.example.com'
/** Part of each error that the hooks throw. No client may ever read it. */
export const SECRET = '/secret/path'

/** Returns whether the recording hooks threw this error because a name in the test asked for it. */
export function isAskedFor(error: unknown): boolean {
  return error instanceof Refusal || String(error).includes(SECRET)
}

export type RecordOf = (session: Session) => Record

/** Returns the options of a server with this profile. */
export function recordingServer(profile: Profile, find: RecordOf): ServerOptions {
  // XCLIENT changes the address of a session, by which it is found.
  const records = new WeakMap<Session, Record>()
  const recordOf = (session: Session): Record => {
    const record = records.get(session) ?? find(session)
    records.set(session, record)
    return record
  }
  return {
    hostname: HOSTNAME,
    limits: { maxConnectionsPerAddress: 10_000, ...profile.limits },
    ...pick(profile, 'bareLineEndings', 'addresses', 'disabled', 'greetingDelayMs', 'helloText'),
    extensions: (profile.extensions ?? ['DSN']).map((keyword) => EXTENSIONS[keyword]),
    tls: { required: profile.tlsRequired ?? false },
    ...(profile.auth === undefined
      ? {}
      : {
          auth: {
            required: profile.authRequired ?? false,
            ...(profile.authRequiredText !== undefined && { requiredText: profile.authRequiredText }),
            allowWithoutTls: profile.auth === 'always',
            authenticate(credentials, session) {
              const { mechanism, username, password, authorizationId } = credentials
              const fields = [mechanism, username, password, authorizationId]
              recordOf(session).events.push(`auth ${fields.join(' ')}`.trim())
              if (username === 'down') throw new Error(`${SECRET}: the directory is down`)
              return password === 'secret' ? { user: username } : undefined
            },
          },
        }),
    ...(profile.trusted === undefined ? {} : { extensions: trusting(addressRanges(profile.trusted)) }),
    ...recording(recordOf, profile.trusted !== undefined),
  }
}

/** Returns what the listener of a server with this profile sets differently. */
export function overridesOf({ protocol }: Profile): SessionOverrides {
  return protocol === undefined ? {} : { protocol }
}

function trusting(trusted: AddressRanges): readonly Extension[] {
  return [xclient({ trusted }), xforward({ trusted })]
}

export function emptyRecord(): Record {
  return { events: [], kept: [], errors: [], reads: 0, writes: 0, session: undefined }
}

/** Makes hooks that accept everything except the names that stand for a refusal. @param isNaming Record who the client is */
function recording(recordOf: RecordOf, isNaming: boolean): Handlers {
  const who = (session: Session): string => (isNaming ? ` ${whoIs(session)}` : '')
  return {
    connect(session) {
      const record = recordOf(session)
      record.session = session
      record.events.push(`connect${who(session)}`)
    },
    secure(tls, session) {
      recordOf(session).events.push(`secure ${tls.protocol}`)
    },
    hello({ verb, name }, session) {
      recordOf(session).events.push(`hello ${verb} ${name}`)
      if (name === 'banned.example') return reply(550, '5.7.1', 'You are not welcome')
    },
    mail(path, session) {
      const { address } = path
      recordOf(session).events.push(`mail <${address}>${spell(path)}${who(session)}`)
      if (address.startsWith('banned@')) return reply(550, '5.7.1', 'Not from you')
    },
    rcpt(path, session) {
      const { address } = path
      recordOf(session).events.push(`rcpt <${address}>${spell(path)}`)
      if (address.startsWith('unknown@')) return reply(550, '5.1.1', 'No such mailbox')
      if (address.startsWith('later@')) return reply(450, '4.2.1', 'Try again later')
    },
    async data(message, session) {
      const record = recordOf(session)
      record.events.push('data')
      const from = message.envelope.reversePath.address
      if (from.startsWith('early@')) return reply(554, '5.7.1', 'Not this one')
      try {
        return await keep(message, record)
      } catch (error) {
        if (error instanceof MessageError) record.events.push(`lost ${error.reason}`)
        throw error
      }
    },
    verify(argument, session) {
      recordOf(session).events.push(`verify ${argument}`)
      if (argument === 'known') return reply(250, '2.1.5', 'Known <known@example.com>')
    },
    expand(argument, session) {
      recordOf(session).events.push(`expand ${argument}`)
      if (argument === 'list') return reply(250, '2.1.5', ['<a@example.com>', '<b@example.com>'])
    },
    reset(session) {
      recordOf(session).events.push('reset')
    },
    close(session) {
      recordOf(session).events.push('close')
    },
    error(error, session) {
      if (session !== undefined) recordOf(session).errors.push(error)
    },
  }
}

function whoIs({ forwarded, hello, local, remote, reverseDns, user }: Session): string {
  const ends = [remote, local].map(({ family, address, port }) =>
    family === 'unknown' || address === '127.0.0.1' ? '-' : `${address}:${port}`,
  )
  const words = [
    ...ends,
    hello === undefined ? '-' : `${hello.verb} ${hello.name}`,
    user ?? '-',
    reverseDns === undefined ? '-' : `${reverseDns.result} ${reverseDns.name}`,
  ]
  return words.join(' ') + (forwarded === undefined ? '' : ` ${JSON.stringify(forwarded)}`)
}

/** Keeps a message. Recipients whose names say so are refused, each for itself. */
async function keep(message: Message, record: Record): Promise<readonly Reply[] | undefined> {
  const { envelope } = message
  const bytes = await message.bytes()
  const from = envelope.reversePath.address
  if (from.startsWith('full@')) throw new Refusal(reply(452, '4.3.1', 'Out of space'))
  if (from.startsWith('broken@')) throw new Error(`${SECRET}: EIO`)
  record.events.push(`kept ${bytes.length}`)
  record.kept.push({
    from,
    to: envelope.forwardPaths.map(({ address }) => address),
    text: Buffer.from(bytes).toString('latin1'),
    trace: Buffer.from(message.trace).toString(),
  })
  if (!envelope.forwardPaths.some(({ address }) => address.startsWith('each-'))) return undefined
  return envelope.forwardPaths.map(({ localPart }) => {
    if (localPart === 'each-full') return reply(452, '4.2.2', 'Mailbox is full')
    return localPart === 'each-off'
      ? reply(550, '5.2.1', 'Mailbox is off')
      : reply(250, '2.1.5', `Kept for ${localPart}`)
  })
}

function spell({ parameters, malformedParameters = [] }: PathWithParameters): string {
  const spelled = [...parameters].map(([keyword, value]) => {
    const mark = malformedParameters.includes(keyword) ? ' (malformed)' : ''
    return value === '' ? ` ${keyword}${mark}` : ` ${keyword}=${value}${mark}`
  })
  return spelled.join('')
}

export function pick<T extends object, K extends keyof T>(from: T, ...keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]])) as Pick<T, K>
}
