/**
 * Parameters of MAIL and RCPT: RFC 5321 4.1.2 (esmtp-param), RFC 3461 4 (xtext).
 * An extension knows each keyword: whether it takes a value, how the value is encoded and which values are allowed. It records
 * what the value means. If no extension on offer knows a keyword, the client gets `555 5.5.4`.
 */
import type { Parameters } from '../grammar/envelope.ts'
import type { ExtensionContext, ParameterRule, ProtocolExtension } from './extension.ts'
import { type Reply, reply } from '../grammar/reply.ts'

const UNKNOWN = reply(555, '5.5.4', 'Parameter not recognised')
export const MALFORMED: Reply = reply(501, '5.5.4', 'Malformed parameter')

/** The parameter would bring a control character into a log or a report, if somebody decoded it. */
export const HIDES_CONTROL: Reply = reply(501, '5.5.4', 'Parameter hides a control character')

const KEYWORD = /^[A-Za-z0-9][A-Za-z0-9-]*$/
const VALUE = /^[\x21-\x3c\x3e-\x7e\u{a0}-\u{10ffff}]+$/u
/** The same characters and '=', which some clients do not encode. May be empty. */
const UNTIDY_VALUE = /^[\x21-\x7e\u{a0}-\u{10ffff}]*$/u
/** RFC 3461 4: printable ASCII except '+' and '=', which are written +2B and +3D. Some clients write hex digits in lower case. */
const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-Fa-f]{2})*$/
/** The hex digits of an encoded control character: 00 to 1F, and 7F. */
const CONTROL = /\+(?:[01][0-9A-Fa-f]|7[Ff])/

export const NO_PARAMETERS: Parameters = new Map()

/** A parameter and the extension that defines it. */
export interface KnownParameter<Target> {
  readonly rule: ParameterRule<Target>
  readonly extension: ProtocolExtension
}

/** The parameters behind a path. */
export interface ReadParameters {
  readonly values: Parameters
  /** Keywords of parameters that only advise and are malformed. */
  readonly malformed: readonly string[]
}

const NOTHING: ReadParameters = { values: NO_PARAMETERS, malformed: [] }

/**
 * Reads the parameters behind a path, checks each against its rule, and lets the rule record the meaning in `target`.
 *
 * @param text What follows the path: '' or a blank and the parameters.
 * @param lenient Treats several blanks as one.
 * @returns the parameters, or the reply that refuses the command.
 */
export function readParameters<Target>(
  text: string,
  known: ReadonlyMap<string, KnownParameter<Target>>,
  target: Target,
  context: ExtensionContext,
  lenient: boolean,
): ReadParameters | Reply {
  if (text === '') return NOTHING
  if (text[0] !== ' ') return SYNTAX
  const values = new Map<string, string>()
  const malformed: string[] = []
  for (const part of text.slice(1).split(' ')) {
    if (part === '' && lenient) continue
    const equals = part.indexOf('=')
    const written = equals < 0 ? part : part.slice(0, equals)
    if (!KEYWORD.test(written)) return MALFORMED
    const keyword = written.toUpperCase()
    const parameter = known.get(keyword)
    if (parameter === undefined || parameter.extension.advertise?.(context) === null) return UNKNOWN
    if (values.has(keyword)) return MALFORMED
    const { rule } = parameter
    const value = equals < 0 ? undefined : part.slice(equals + 1)
    const decoded = decodeValue(value, rule)
    const refusal = decoded === undefined ? MALFORMED : rule.apply?.(decoded, target, context)
    if (rule.advisory === true) {
      const raw = value ?? ''
      if (!UNTIDY_VALUE.test(raw)) return MALFORMED
      if (CONTROL.test(raw)) return HIDES_CONTROL
      if (refusal === MALFORMED) malformed.push(keyword)
      else if (refusal !== undefined) return refusal
      values.set(keyword, decoded ?? raw)
      continue
    }
    if (decoded === undefined || refusal !== undefined) return refusal ?? MALFORMED
    values.set(keyword, decoded)
  }
  return { values, malformed }
}

const SYNTAX = reply(501, '5.5.2', 'Syntax error behind the path')

/** Decodes a value. Returns undefined if it is malformed, if it is missing, or if the keyword allows none. */
function decodeValue(value: string | undefined, rule: ParameterRule<never>): string | undefined {
  if (value === undefined) return rule.value === 'required' ? undefined : ''
  if (rule.value === 'none' || !VALUE.test(value)) return undefined
  return rule.encoding === 'xtext' ? decodeXtext(value) : value
}

/** Decodes xtext. Returns undefined if the text is malformed, or if it encodes something other than printable ASCII. */
export function decodeXtext(text: string): string | undefined {
  if (!XTEXT.test(text)) return undefined
  if (!text.includes('+')) return text
  const decoded = text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return /^[\x20-\x7e]*$/.test(decoded) ? decoded : undefined
}
