/** `@postern/intake/settings`: rules that the settings of the server and of the Worker share. */
import type { Retention } from '@postern/storage'

export { HANDLER_NAMES } from './handlers.ts'

const PREFIX = 'POSTERN_'

/** The settings of the retention limits. */
export type RetentionName = 'keepAgeMs' | 'keepCount' | 'keepBytes'

export interface RetentionRule {
  readonly limit: keyof Retention
  /** The smallest allowed value. The largest is Infinity, the default. */
  readonly min: number
}

/** The retention limits. Each has a minimum, so that a number whose unit was forgotten does not remove all mail. */
export const RETENTION_RULES: Readonly<Record<RetentionName, RetentionRule>> = {
  keepAgeMs: { limit: 'maxAgeMs', min: 60_000 },
  keepCount: { limit: 'maxCount', min: 1 },
  keepBytes: { limit: 'maxBytes', min: 1024 * 1024 },
}

/** The rule of a setting that is a text. */
export interface TextRule {
  readonly pattern: RegExp
  /** The end of the sentence "… is not …". */
  readonly allowed: string
}

/** The name in the greeting and in the trace header. The engine checks it further. */
export const HOSTNAME_RULE: TextRule = {
  pattern: /^[^\s]{1,255}$/,
  allowed: 'a domain or an address literal, such as mx.example.com',
}

/** A secret that a front signs with (RFC 7518 3.2), or that lets its owner read mail. A comma separates two secrets. */
export const SECRET_RULE: TextRule = {
  pattern: /^[\x21-\x2b\x2d-\x7e]{32,1024}$/,
  allowed: 'at least 32 printable ASCII characters, without blanks and commas',
}

const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/

/** Reads the URL of a DNS server over HTTPS; http only for this machine. Returns undefined for any other text. */
export function parseHttpsResolver(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return undefined
  const { protocol, hostname, href } = url
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname)) ? href : undefined
}

/** Returns the environment variable of a setting: `maxMessageBytes` is `POSTERN_MAX_MESSAGE_BYTES`. */
export function variableOf(name: string): string {
  return PREFIX + name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
