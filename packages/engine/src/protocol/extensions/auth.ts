/** AUTH as an extension: RFC 4954 3 (keyword), 5 (the AUTH parameter of MAIL). */
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

/** What the protocol has to know of a SASL mechanism. */
export interface OfferedMechanism {
  /** In upper case. */
  readonly name: string
  /** Whether those who listen read the password. */
  readonly showsPassword: boolean
}

/** @param allowWithoutTls Offer mechanisms that show the password also where anyone can listen. */
export function auth(mechanisms: readonly OfferedMechanism[], allowWithoutTls: boolean): ProtocolExtension {
  const all = mechanisms.map(({ name }) => name).join(' ')
  const safe = mechanisms.flatMap(({ name, showsPassword }) => (showsPassword ? [] : [name])).join(' ')
  return {
    keyword: 'AUTH',
    verbs: { AUTH: {} },
    lineOctets: { MAIL: 500 },
    advertise({ isSecure }) {
      const names = isSecure || allowWithoutTls ? all : safe
      return names === '' ? null : names
    },
    mail: {
      AUTH: {
        value: 'required',
        encoding: 'xtext',
        // A mailbox or `<>`. Nothing here depends on it, so a name without a domain is taken (RFC 4954 5).
        advisory: true,
        apply: (value) => (value === '<>' || value.includes('@') ? undefined : MALFORMED),
      },
    },
  }
}
