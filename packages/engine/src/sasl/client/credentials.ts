/** What several mechanisms ask of credentials. */
import { octetsOf } from '../text.ts'
import { type ClientCredentials, type ClientExchange, MechanismError } from './mechanism.ts'

/** Credentials that have a password. */
export interface PasswordCredentials extends ClientCredentials {
  readonly username: string
  readonly password: string
}

export function hasPassword(credentials: ClientCredentials): credentials is PasswordCredentials {
  return (credentials.username ?? '') !== '' && credentials.password !== undefined
}

/** Returns whether the client acts as the user that the credentials belong to. Some mechanisms can say nothing else. */
export function actsAsItself({ authorizationId = '', username }: ClientCredentials): boolean {
  return authorizationId === '' || authorizationId === username
}

/** Rejects what would end a field of the mechanism early. @param what Names the field in the error. The value may be a secret. */
export function checked(value: string, forbidden: RegExp, what: string, mechanism: string): string {
  if (forbidden.test(value)) throw new MechanismError(`${mechanism} cannot carry this ${what}`)
  return value
}

/** Zero octets: PLAIN separates its fields with them, and no other mechanism allows them in a name. */
export const ZERO: RegExp = /\0/

/** Makes the exchange of a mechanism with one message, which the client sends first. @param message Writes the message */
export function oneMessage(mechanism: string, message: () => string): ClientExchange {
  return {
    initial: () => octetsOf(message()),
    next() {
      throw new MechanismError(`the server asks for more than ${mechanism} has`)
    },
  }
}
