/** AUTH as an extension: RFC 4954 3 (keyword), 5 (the AUTH parameter of MAIL). */
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

/** What the protocol needs to know of a SASL mechanism. */
export interface OfferedMechanism {
  /** In upper case. */
  readonly name: string
  /** True if an eavesdropper can read the password. */
  readonly showsPassword: boolean
}

/** @param allowWithoutTls Also offer mechanisms that show the password when the connection is in clear. */
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
        // A mailbox or `<>`. Postern does not use the value, so it also accepts a name without a domain (RFC 4954 5).
        advisory: true,
        apply: (value) => (value === '<>' || value.includes('@') ? undefined : MALFORMED),
      },
    },
  }
}
