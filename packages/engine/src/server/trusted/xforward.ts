/**
 * XFORWARD, as Postfix's XFORWARD_README defines it: a trusted client tells which client sent the next message first. It is for logs and
 * records: the session stays that of the client itself.
 */
import type { ForwardedClient } from '../../protocol/grammar/envelope.ts'
import { isReply, type Reply, reply } from '../../protocol/grammar/reply.ts'
import type { Extension } from '../extension.ts'
import { harmless, MORE_LINE_OCTETS, readAttributes, readPort, type TrustOptions, withoutPrefix } from './attributes.ts'

/** The field of each attribute. */
const FIELDS = {
  NAME: 'name',
  ADDR: 'address',
  PORT: 'port',
  PROTO: 'protocol',
  HELO: 'hello',
  IDENT: 'ident',
  SOURCE: 'source',
} as const satisfies Readonly<Record<string, keyof ForwardedClient>>
type Name = keyof typeof FIELDS
type Field = string | number

const NAMES = Object.keys(FIELDS) as readonly Name[]
const MAX_PROTOCOL_LENGTH = 64
const NOT_TRUSTED = reply(550, '5.7.0', 'Not authorized to send XFORWARD')
const WRONG_VALUE = reply(501, '5.5.4', 'Malformed value of an attribute')

/** Makes the extension. What the client sends is in `session.forwarded` until the end of the next transaction. */
export function xforward({ trusted }: TrustOptions): Extension {
  return {
    keyword: 'XFORWARD',
    advertise: ({ remote }) => (trusted.includes(remote) ? NAMES.join(' ') : null),
    lineOctets: { XFORWARD: MORE_LINE_OCTETS },
    commands: {
      XFORWARD: {
        syntax: 'name=value [name=value]',
        beforeAuth: true,
        inTransaction: false,
        handle(argument, session, change) {
          if (!trusted.includes(session.remote)) return NOT_TRUSTED
          const forwarded = forwardedBy(argument, session.forwarded)
          if (isReply(forwarded)) return forwarded
          change.forwarded = forwarded
        },
      },
    },
  }
}

/** Returns the client that is known after this command. An attribute that is not in the command keeps its value. */
function forwardedBy(argument: string, before: ForwardedClient | undefined): ForwardedClient | Reply {
  const attributes = readAttributes(argument, NAMES)
  if (isReply(attributes)) return attributes
  const fields = new Map<string, Field>(Object.entries(before ?? {}))
  for (const [name, value] of attributes) {
    if (typeof value !== 'string') {
      fields.delete(FIELDS[name])
      continue
    }
    const field = fieldOf(name, value)
    if (field === undefined) return WRONG_VALUE
    fields.set(FIELDS[name], field)
  }
  return Object.fromEntries(fields)
}

/** Returns undefined if the value is malformed. */
function fieldOf(name: Name, value: string): Field | undefined {
  switch (name) {
    case 'PORT':
      return readPort(value)
    case 'SOURCE':
      return ['LOCAL', 'REMOTE'].find((source) => source === value.toUpperCase())
    case 'ADDR':
      return harmless(withoutPrefix(value))
    case 'PROTO':
      return value.length > MAX_PROTOCOL_LENGTH ? undefined : harmless(value)
    default:
      return harmless(value)
  }
}
