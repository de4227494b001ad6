/**
 * XCLIENT, as Postfix's XCLIENT_README defines it: a trusted client names another client, and the session begins again as that client's.
 *
 * The session's address decides whether a client is trusted. After `ADDR=` that is the named client's address. So a proxy that passes on
 * the bytes of its client afterwards, as nginx does, does not lend its trust to that client.
 */
import type { Endpoint } from '../../duplex.ts'
import { isReply, type Reply, reply } from '../../protocol/grammar/reply.ts'
import type { Hello } from '../../protocol/server/event.ts'
import type { Extension, SessionChange } from '../extension.ts'
import type { ReverseDns, Session } from '../session/session.ts'
import {
  endpointFrom,
  harmless,
  MORE_LINE_OCTETS,
  readAttributes,
  type TrustOptions,
  type Value,
} from './attributes.ts'

const NAMES = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT'] as const
type Attributes = ReadonlyMap<(typeof NAMES)[number], Value>

const VERBS: Readonly<Record<string, Hello['verb']>> = { SMTP: 'HELO', ESMTP: 'EHLO', LMTP: 'LHLO' }
const NOT_TRUSTED = reply(550, '5.7.0', 'Not authorized to send XCLIENT')
const UNKNOWN_PROTOCOL = reply(501, '5.5.4', 'PROTO is SMTP, ESMTP or LMTP')

/** Makes the extension. Its command is answered with a new greeting; after it the client has to greet again. */
export function xclient({ trusted }: TrustOptions): Extension {
  return {
    keyword: 'XCLIENT',
    advertise: ({ remote }) => (trusted.includes(remote) ? NAMES.join(' ') : null),
    lineOctets: { XCLIENT: MORE_LINE_OCTETS },
    commands: {
      XCLIENT: {
        syntax: 'name=value [name=value]',
        beforeTls: true,
        beforeAuth: true,
        inTransaction: false,
        effect: 'restart',
        handle(argument, session, change) {
          if (!trusted.includes(session.remote)) return NOT_TRUSTED
          const attributes = readAttributes(argument, NAMES)
          return isReply(attributes) ? attributes : fill(change, attributes, session)
        },
      },
    },
  }
}

function fill(change: SessionChange, attributes: Attributes, session: Session): Reply | undefined {
  const remote = end(attributes, 'ADDR', 'PORT', session.remote)
  if (isReply(remote)) return remote
  const local = end(attributes, 'DESTADDR', 'DESTPORT', session.local)
  if (isReply(local)) return local
  const protocol = attributes.get('PROTO') ?? 'ESMTP'
  const verb = VERBS[protocol.toUpperCase()]
  if (verb === undefined) return UNKNOWN_PROTOCOL
  const hello = attributes.get('HELO')
  const user = attributes.get('LOGIN')
  const name = attributes.get('NAME')
  if (remote !== undefined) change.remote = remote
  if (attributes.has('NAME')) change.reverseDns = nameFrom(name)
  if (local !== undefined) change.local = local
  if (typeof hello === 'string') change.hello = { verb, name: hello }
  if (typeof user === 'string') change.user = user
  return undefined
}

/** Returns what the client says of its lookup of the name. */
function nameFrom(name: Value): ReverseDns {
  if (typeof name === 'string') return { result: 'pass', name: harmless(name) }
  return { result: name === null ? 'temperror' : 'permerror', name: 'unknown' }
}

/** Returns one end of the connection; undefined if the client did not name it. */
function end(
  attributes: Attributes,
  address: 'ADDR' | 'DESTADDR',
  port: 'PORT' | 'DESTPORT',
  now: Endpoint,
): Endpoint | Reply | undefined {
  if (!attributes.has(address) && !attributes.has(port)) return undefined
  const hasAddress = attributes.has(address)
  return endpointFrom({ address: attributes.get(address), hasAddress, port: attributes.get(port) }, now)
}
