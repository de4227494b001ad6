/** AUTH as an extension: RFC 4954 3 (keyword), 5 (the AUTH parameter of MAIL). */
import type { ConnectionFact, ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

/** What the protocol needs to know of a SASL mechanism. */
export interface OfferedMechanism {
  /** In upper case. */
  readonly name: string
  /** True if an eavesdropper can read the password. */
  readonly showsPassword: boolean
  /** What the connection must have. Default: nothing. */
  readonly needs?: ConnectionFact
}

/** Returns whether the mechanism is on offer to a connection with these facts. */
export function isPossible({ needs }: OfferedMechanism, facts: readonly ConnectionFact[]): boolean {
  return needs === undefined || facts.includes(needs)
}

/** @param allowWithoutTls Also offer mechanisms that show the password when the connection is in clear. */
export function auth(mechanisms: readonly OfferedMechanism[], allowWithoutTls: boolean): ProtocolExtension {
  const safe = mechanisms.filter(({ showsPassword }) => !showsPassword)
  const namesFor = (facts: readonly ConnectionFact[], isSecret: boolean): string =>
    (isSecret ? mechanisms : safe)
      .filter((mechanism) => isPossible(mechanism, facts))
      .map(({ name }) => name)
      .join(' ')
  return {
    keyword: 'AUTH',
    verbs: { AUTH: {} },
    lineOctets: { MAIL: 500 },
    advertise({ isSecure, isAuthOff, facts }) {
      if (isAuthOff) return null
      const names = namesFor(facts, isSecure || allowWithoutTls)
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
