/** The header that messages of SCRAM and OAUTHBEARER begin with (RFC 5801 4): `n,a=user,`. */

/**
 * 'n': the client does not do channel binding. 'y': it would, but believes that the server does not. Otherwise the
 * type that the client binds to.
 */
export type ChannelFlag = { readonly flag: 'n' | 'y' } | { readonly flag: 'p'; readonly type: string }

export interface Gs2Header {
  readonly binding: ChannelFlag
  /** The user that the client wants to act as; '' if it names none. */
  readonly authorizationId: string
  /** The header as it was sent, with the comma at its end. */
  readonly text: string
}

/** Ends each field that OAUTHBEARER and XOAUTH2 write, and the message once more. */
export const FIELD_END = '\x01'

/** Writes the header. @param authorizationId '' to name no other user */
export function writeGs2(binding: ChannelFlag, authorizationId: string): string {
  const flag = binding.flag === 'p' ? `p=${binding.type}` : binding.flag
  return `${flag},${authorizationId === '' ? '' : `a=${encodeName(authorizationId)}`},`
}

/** Parses the header at the start of a message. Returns undefined if it is malformed. */
export function parseGs2(message: string): Gs2Header | undefined {
  const flagEnd = message.indexOf(',')
  const end = message.indexOf(',', flagEnd + 1)
  if (flagEnd === -1 || end === -1) return undefined
  const binding = parseBinding(message.slice(0, flagEnd))
  const given = message.slice(flagEnd + 1, end)
  const authorizationId = given.startsWith('a=') ? decodeName(given.slice(2)) : undefined
  if (binding === undefined || (given !== '' && authorizationId === undefined)) return undefined
  return { binding, authorizationId: authorizationId ?? '', text: message.slice(0, end + 1) }
}

function parseBinding(flag: string): ChannelFlag | undefined {
  if (flag === 'n' || flag === 'y') return { flag }
  return /^p=[A-Za-z0-9.-]{1,64}$/.test(flag) ? { flag: 'p', type: flag.slice(2) } : undefined
}

/** Decodes a name, in which `=2C` is a comma and `=3D` an equals sign. Returns undefined if it is empty or malformed. */
export function decodeName(text: string): string | undefined {
  if (text === '' || text.includes('\0') || /=(?!2C|3D)/.test(text)) return undefined
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

/** Encodes a name as {@link decodeName} reads it. */
export function encodeName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C')
}
