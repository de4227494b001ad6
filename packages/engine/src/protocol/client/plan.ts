/**
 * Plans a transaction: what the message needs, whether the server offers it, and the lines of MAIL and RCPT.
 * RFC 1870, 2852, 3030, 3461, 4865, 6152, 6531, 6710 and 8689 define the parameters.
 */
import { asciiDomain } from '../grammar/domain.ts'
import type { BodyType } from '../grammar/envelope.ts'
import { parsePath } from '../grammar/path.ts'
import type { ServerInfo } from './capabilities.ts'
import type { OutgoingDeadline, OutgoingEnvelope, OutgoingRecipient } from './outgoing.ts'

/** What is known of a message before it is sent. */
export interface MessageFacts {
  /** Missing for a stream. */
  readonly octets?: number
  /** Missing for a stream. */
  readonly has8Bit?: boolean
  /** True if all octets are in lines of at most 998 octets that end in CRLF, without NUL. Only looked at for BINARYMIME. */
  readonly hasLines?: boolean
  /** True if the header section has UTF-8. */
  readonly hasUtf8Header: boolean
}

/** The connection, as far as REQUIRETLS asks for it. */
export interface Link {
  /** True if TLS is on and the server's certificate was verified. */
  readonly isVerified: boolean
}

export interface Plan {
  readonly mail: string
  /** One for each recipient, in order. */
  readonly rcpts: readonly string[]
  readonly isBinary: boolean
}

/** The server does not offer what the message needs. */
export interface Shortfall {
  readonly lacks: string
  /** RFC 3463. */
  readonly enhancedCode: string
}

type Extensions = ServerInfo['extensions']

const NOT_ASCII = /[^\x00-\x7f]/
const PRIORITY_RANGE = 9
const MAX_SECONDS = 999_999_999

/** @throws TypeError if the envelope is not valid */
export function planTransaction(
  envelope: OutgoingEnvelope,
  message: MessageFacts,
  server: ServerInfo,
  link: Link,
): Plan | Shortfall {
  const { extensions } = server
  const reversePath = envelope.reversePath === '' ? undefined : pathOf('reversePath', envelope.reversePath)
  const recipients = envelope.forwardPaths.map((path) => (typeof path === 'string' ? { address: path } : path))
  if (recipients.length === 0) throw new TypeError('forwardPaths: there is no recipient')
  const forwardPaths = recipients.map(({ address }, index) => pathOf(`forwardPaths[${index}]`, address))
  const paths = reversePath === undefined ? forwardPaths : [reversePath, ...forwardPaths]

  const size = envelope.size ?? message.octets
  if (size !== undefined && server.maxMessageBytes !== undefined && size > server.maxMessageBytes) {
    return {
      lacks: `the message has ${size} octets, and the server takes ${server.maxMessageBytes}`,
      enhancedCode: '5.3.4',
    }
  }
  const body = bodyOf(envelope.bodyType, message, extensions)
  if (typeof body === 'object') return body
  const isUtf8 =
    paths.some(({ localPart }) => NOT_ASCII.test(localPart)) || (envelope.smtpUtf8 ?? message.hasUtf8Header)
  if (isUtf8 && !extensions.has('SMTPUTF8'))
    return { lacks: 'the server does not offer SMTPUTF8', enhancedCode: '5.6.7' }
  const spelled = paths.map((path) => (isUtf8 ? path.address : asciiAddress(path)))

  const parameters = parametersOf(envelope, extensions, link)
  if ('lacks' in parameters) return parameters
  const mail = [
    `MAIL FROM:<${reversePath === undefined ? '' : spelled[0]}>`,
    ...(size !== undefined && extensions.has('SIZE') ? [`SIZE=${size}`] : []),
    ...(body === undefined ? [] : [`BODY=${body}`]),
    ...(isUtf8 ? ['SMTPUTF8'] : []),
    ...parameters,
  ]
  const first = reversePath === undefined ? 0 : 1
  const rcpts = recipients.map((recipient, index) => {
    const lead = `RCPT TO:<${spelled[first + index]}>`
    return [lead, ...(extensions.has('DSN') ? reportParameters(recipient, isUtf8) : [])].join(' ')
  })
  return { mail: mail.join(' '), rcpts, isBinary: body === 'BINARYMIME' }
}

interface Address {
  readonly address: string
  readonly localPart: string
  readonly domain: string
}

/** Takes everything that the server's side takes leniently, because mail that came in has to go out. */
function pathOf(field: string, address: string): Address {
  const text = `<${address}>`
  const parsed = address === '' ? undefined : parsePath(text, 0, true)
  if (parsed === undefined || parsed === 'no-brackets' || parsed.end !== text.length || parsed.path.address === '') {
    throw new TypeError(`${field}: ${JSON.stringify(address)} is not an address`)
  }
  return parsed.path
}

/** Writes the domain with A-labels, which every server takes. */
function asciiAddress({ address, domain }: Address): string {
  if (!NOT_ASCII.test(domain)) return address
  const ascii = asciiDomain(domain)
  if (ascii === undefined) throw new TypeError(`${JSON.stringify(domain)} is not a domain`)
  return `${address.slice(0, address.lastIndexOf('@'))}@${ascii}`
}

/** Returns the value of BODY; undefined for none. */
function bodyOf(
  asked: BodyType | undefined,
  message: MessageFacts,
  extensions: Extensions,
): BodyType | Shortfall | undefined {
  const takes8Bit = extensions.has('8BITMIME')
  if (asked === 'BINARYMIME') {
    if (extensions.has('BINARYMIME') && extensions.has('CHUNKING')) return asked
    // As text it arrives as the same octets.
    if (message.hasLines === true) return bodyOf(undefined, message, extensions)
    return { lacks: 'the server does not offer BINARYMIME', enhancedCode: '5.6.3' }
  }
  if (asked === '7BIT') return takes8Bit ? asked : undefined
  if (takes8Bit) return asked ?? (message.has8Bit === false ? undefined : '8BITMIME')
  // Of a stream that nobody has looked at, only its owner can say what it is.
  const needs8Bit = message.has8Bit ?? asked === '8BITMIME'
  return needs8Bit ? { lacks: 'the server does not offer 8BITMIME', enhancedCode: '5.6.3' } : undefined
}

function parametersOf(envelope: OutgoingEnvelope, extensions: Extensions, link: Link): string[] | Shortfall {
  const { ret, envelopeId, priority, deliverBy, holdFor, holdUntil } = envelope
  const parameters: string[] = []
  if (ret !== undefined) {
    if (ret !== 'FULL' && ret !== 'HDRS') throw new TypeError(`ret: ${JSON.stringify(ret)} is not FULL or HDRS`)
    if (extensions.has('DSN')) parameters.push(`RET=${ret}`)
  }
  if (envelopeId !== undefined && extensions.has('DSN')) parameters.push(`ENVID=${xtext(envelopeId)}`)
  if (envelope.requireTls === true) {
    if (!link.isVerified) return { lacks: 'REQUIRETLS needs TLS with a verified certificate', enhancedCode: '5.7.30' }
    if (!extensions.has('REQUIRETLS')) return { lacks: 'the server does not offer REQUIRETLS', enhancedCode: '5.7.30' }
    parameters.push('REQUIRETLS')
  }
  if (priority !== undefined) {
    if (!isWithin(priority, -PRIORITY_RANGE, PRIORITY_RANGE)) {
      throw new TypeError(`priority: ${priority} is not a whole number from -9 to 9`)
    }
    if (extensions.has('MT-PRIORITY')) parameters.push(`MT-PRIORITY=${priority}`)
  }
  if (deliverBy !== undefined) {
    const by = deadline(deliverBy)
    if (extensions.has('DELIVERBY')) parameters.push(by)
    // RFC 2852 4.2: a deadline that is only reported may be dropped.
    else if (deliverBy.mode === 'return') return { lacks: 'the server does not offer DELIVERBY', enhancedCode: '5.3.3' }
  }
  if (holdFor !== undefined || holdUntil !== undefined) {
    const hold = holdParameter(holdFor, holdUntil)
    if (!extensions.has('FUTURERELEASE'))
      return { lacks: 'the server does not offer FUTURERELEASE', enhancedCode: '5.3.3' }
    parameters.push(hold)
  }
  return parameters
}

function deadline({ seconds, mode, trace = false }: OutgoingDeadline): string {
  const least = mode === 'return' ? 1 : -MAX_SECONDS
  if (!isWithin(seconds, least, MAX_SECONDS)) {
    throw new TypeError(`deliverBy.seconds: ${seconds} is not a whole number from ${least} to ${MAX_SECONDS}`)
  }
  return `BY=${seconds};${mode === 'return' ? 'R' : 'N'}${trace ? 'T' : ''}`
}

function holdParameter(seconds: number | undefined, until: Date | undefined): string {
  if (seconds !== undefined && until !== undefined) throw new TypeError('holdFor and holdUntil exclude each other')
  if (until !== undefined) {
    if (Number.isNaN(until.getTime())) throw new TypeError('holdUntil: not a valid Date')
    return `HOLDUNTIL=${until.toISOString().slice(0, 19)}Z`
  }
  if (!isWithin(seconds as number, 1, MAX_SECONDS)) {
    throw new TypeError(`holdFor: ${seconds} is not a whole number from 1 to ${MAX_SECONDS}`)
  }
  return `HOLDFOR=${seconds}`
}

function reportParameters({ notify, originalRecipient }: OutgoingRecipient, isUtf8: boolean): string[] {
  const parameters: string[] = []
  if (notify !== undefined && notify.length > 0) {
    for (const each of notify) {
      if (!['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'].includes(each) || (each === 'NEVER' && notify.length > 1)) {
        throw new TypeError(`notify: ${JSON.stringify(notify)} is not NEVER, or a list of SUCCESS, FAILURE and DELAY`)
      }
    }
    parameters.push(`NOTIFY=${notify.join(',')}`)
  }
  if (originalRecipient !== undefined) {
    const { type, address } = originalRecipient
    if (!/^[A-Za-z0-9-]+$/.test(type)) {
      throw new TypeError(`originalRecipient.type: ${JSON.stringify(type)} is not a type of addresses`)
    }
    const encoded = type.toLowerCase() === 'utf-8' ? unicodeText(address, isUtf8) : xtext(address)
    parameters.push(`ORCPT=${type};${encoded}`)
  }
  return parameters
}

const encoder = new TextEncoder()

/** Encodes as xtext (RFC 3461 4). */
function xtext(text: string): string {
  return text.replace(/[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/gu, (character) =>
    Array.from(encoder.encode(character), (octet) => `+${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** Encodes an address of type utf-8 (RFC 6533 3). Only under SMTPUTF8 may it have characters that are not ASCII. */
function unicodeText(text: string, isUtf8: boolean): string {
  const unsafe = isUtf8 ? /[\x00-\x20+=\\\x7f-\x9f]/gu : /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu
  return text.replace(unsafe, (character) => `\\x{${(character.codePointAt(0) as number).toString(16).toUpperCase()}}`)
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}
