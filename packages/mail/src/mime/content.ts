/** What the header section of a part says of its content: RFC 2045, RFC 2046, RFC 2183. */
import type { HeaderFields } from '../header/fields.ts'
import { parseParameters } from '../header/parameters.ts'
import type { DefectList } from '../defect.ts'

export interface Content {
  /** In lower case: 'text/plain'. */
  readonly type: string
  /** Parameters of Content-Type, by their name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
  /** In lower case: 'attachment', 'inline' or what else is written. Missing without the field. */
  readonly disposition?: string
  /** Decoded. It is a stranger's text: never a path. */
  readonly fileName?: string
  /** Without its angle brackets. */
  readonly contentId?: string
  /** In lower case. */
  readonly encoding: string
}

const TEXT = 'text/plain'
const NONE: ReadonlyMap<string, string> = new Map()

/** @param defaultType The type of a part without Content-Type: RFC 2046 5.1.5 */
export function contentOf(fields: HeaderFields, defaultType: string, defects: DefectList): Content {
  const only = (name: string): string | undefined => {
    const all = fields.getAll(name)
    if (all.length > 1) defects.add('field-repeated')
    return all[0]?.rawValue
  }
  const typeField = only('content-type')
  const typed = typeField === undefined ? undefined : parseParameters(typeField)
  const isTyped = typed !== undefined && isType(typed.value)
  if (typed !== undefined && !isTyped) defects.add('type-malformed')
  const dispositionField = only('content-disposition')
  const placed = dispositionField === undefined ? undefined : parseParameters(dispositionField)
  if (typed?.isMalformed === true || placed?.isMalformed === true) defects.add('parameter-malformed')
  // An empty name is none.
  const fileName = placed?.parameters.get('filename') || typed?.parameters.get('name')
  const contentId = withoutBrackets(only('content-id'))
  return {
    type: isTyped ? typed.value : typed === undefined ? defaultType : TEXT,
    parameters: typed?.parameters ?? NONE,
    ...(placed === undefined || placed.value === '' ? {} : { disposition: placed.value }),
    ...(fileName === undefined || fileName === '' ? {} : { fileName }),
    ...(contentId === undefined ? {} : { contentId }),
    encoding: encodingOf(only('content-transfer-encoding')),
  }
}

function isType(value: string): boolean {
  const slash = value.indexOf('/')
  return slash > 0 && slash < value.length - 1 && /^[!-~]+$/.test(value) && value.indexOf('/', slash + 1) < 0
}

function encodingOf(field: string | undefined): string {
  if (field === undefined) return '7bit'
  const { value } = parseParameters(field)
  return value === '' ? '7bit' : value.replaceAll(/^"|"$/g, '')
}

function withoutBrackets(field: string | undefined): string | undefined {
  if (field === undefined) return undefined
  const start = field.indexOf('<')
  const end = field.indexOf('>', start)
  const id = start >= 0 && end > start ? field.slice(start + 1, end) : field
  return id === '' ? undefined : id
}
