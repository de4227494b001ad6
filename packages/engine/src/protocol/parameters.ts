/**
 * Parameters of MAIL and RCPT: RFC 5321 4.1.2 (esmtp-param), RFC 3461 4 (xtext).
 *
 * Who knows a keyword is an extension: it says whether the keyword takes a value, how it is encoded, what it may be, and
 * records what it means. A keyword that nobody on offer knows is `555 5.5.4`.
 */
import type { Parameters } from './envelope.ts'
import type { ExtensionContext, ParameterRule, ProtocolExtension } from './extension.ts'
import { type Reply, reply } from './reply.ts'

const UNKNOWN = reply(555, '5.5.4', 'Parameter not recognised')
export const MALFORMED: Reply = reply(501, '5.5.4', 'Malformed parameter')

const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\u{a0}-\u{10ffff}]+))?$/u
/** RFC 3461 4: printable ASCII but '+' and '=', which are written +2B and +3D. */
const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*$/
/** The same for an address of type utf-8, which may stand as it is (RFC 6533 3). */
const UTF8_XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e\u{a0}-\u{10ffff}]|\+[0-9A-F]{2})*$/u

export const NO_PARAMETERS: Parameters = new Map()

/** A parameter and the extension that brings it. */
export interface KnownParameter<Target> {
  readonly rule: ParameterRule<Target>
  readonly extension: ProtocolExtension
}

/**
 * Reads the parameters behind a path, checks each against its rule, and lets the rule record what it means in `target`.
 *
 * @param text What follows the path: '' or a blank and the parameters.
 * @returns the values by upper-case keyword, or the reply that refuses the command.
 */
export function readParameters<Target>(
  text: string,
  known: ReadonlyMap<string, KnownParameter<Target>>,
  target: Target,
  context: ExtensionContext,
): Parameters | Reply {
  if (text === '') return NO_PARAMETERS
  if (text[0] !== ' ') return SYNTAX
  const parameters = new Map<string, string>()
  for (const part of text.slice(1).split(' ')) {
    const match = PARAMETER.exec(part)
    if (match === null) return MALFORMED
    const keyword = (match[1] as string).toUpperCase()
    const parameter = known.get(keyword)
    if (parameter === undefined || parameter.extension.advertise?.(context) === null) return UNKNOWN
    const { rule } = parameter
    if (parameters.has(keyword)) return MALFORMED
    if (match[2] === undefined ? rule.value === 'required' : rule.value === 'none') return MALFORMED
    const value = rule.encoding === 'xtext' ? decodeXtext(match[2] ?? '') : (match[2] ?? '')
    if (value === undefined) return MALFORMED
    parameters.set(keyword, value)
    const refusal = rule.apply?.(value, target, context)
    if (refusal !== undefined) return refusal
  }
  return parameters
}

const SYNTAX = reply(501, '5.5.2', 'Syntax error behind the path')

/** Undoes xtext; undefined where it is malformed, or hides what is not printable ASCII. */
export function decodeXtext(text: string, isUtf8 = false): string | undefined {
  if (!(isUtf8 ? UTF8_XTEXT : XTEXT).test(text)) return undefined
  const decoded = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return (isUtf8 ? /^[\x20-\x7e\u{a0}-\u{10ffff}]*$/u : /^[\x20-\x7e]*$/).test(decoded) ? decoded : undefined
}
