/** Decodes text of any charset (RFC 2045 5.1) by the platform's TextDecoder. */

/** Names that mail uses and the Encoding Standard does not have, and the label that it has. */
const LABELS: Readonly<Record<string, string>> = {
  '8859_1': 'iso-8859-1',
  ansi: 'windows-1252',
  ascii: 'windows-1252',
  big5_hkscs: 'big5-hkscs',
  cp367: 'windows-1252',
  cp819: 'iso-8859-1',
  cp850: 'windows-1252',
  cp874: 'windows-874',
  cp932: 'shift_jis',
  cp936: 'gbk',
  cp949: 'euc-kr',
  cp950: 'big5',
  cp1361: 'euc-kr',
  default: 'windows-1252',
  eucjp: 'euc-jp',
  euckr: 'euc-kr',
  'gb-2312': 'gbk',
  'gb18030-2022': 'gb18030',
  'iso-8859-1-windows-3.1-latin-1': 'windows-1252',
  'iso-8859-8-e': 'iso-8859-8',
  'iso-8859-11': 'windows-874',
  'iso-8859_1': 'iso-8859-1',
  iso8859_1: 'iso-8859-1',
  iso8859_15: 'iso-8859-15',
  'iso-2022-jp-1': 'iso-2022-jp',
  'iso-2022-jp-2': 'iso-2022-jp',
  'iso-2022-jp-ms': 'iso-2022-jp',
  'iso-646': 'windows-1252',
  'iso646-us': 'windows-1252',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  ks_c_5601: 'euc-kr',
  'latin-1': 'iso-8859-1',
  macroman: 'macintosh',
  ms932: 'shift_jis',
  ms949: 'euc-kr',
  msgbk: 'gbk',
  shiftjis: 'shift_jis',
  tis620: 'windows-874',
  'unicode-1-1-utf-16': 'utf-16',
  unicode: 'utf-16',
  'ucs-2': 'utf-16',
  usascii: 'windows-1252',
  us_ascii: 'windows-1252',
  utf: 'utf-8',
  utf8mb3: 'utf-8',
  utf8mb4: 'utf-8',
  utf_8: 'utf-8',
  win1250: 'windows-1250',
  win1251: 'windows-1251',
  win1252: 'windows-1252',
  'windows-936': 'gbk',
  'windows-950': 'big5',
  'x-unknown': 'utf-8',
  'x-user-defined': 'windows-1252',
}
const REPLACEMENT = 'replacement'
const MAX_NAME = 60

/** Returns a label that TextDecoder takes; undefined for an unknown charset. */
export function charsetLabel(name: string): string | undefined {
  const lower = name.trim().toLowerCase()
  if (lower === '' || lower.length > MAX_NAME) return undefined
  const label = LABELS[lower] ?? lower
  return decodersOf(label) === undefined ? undefined : label
}

interface Decoders {
  /** Throws if octets are not text. */
  readonly strict: InstanceType<typeof TextDecoder>
  readonly tolerant: InstanceType<typeof TextDecoder>
}

/** By label. The labels of the Encoding Standard bound it. */
const known = new Map<string, Decoders>()

/** Returns undefined if TextDecoder does not know the label. */
function decodersOf(label: string): Decoders | undefined {
  let decoders = known.get(label)
  if (decoders !== undefined) return decoders
  try {
    decoders = { strict: new TextDecoder(label, { fatal: true, ignoreBOM: false }), tolerant: new TextDecoder(label) }
  } catch {
    return undefined
  }
  // The standard reads ISO-2022-KR and some others as one U+FFFD, because text in them can hide markup.
  if (decoders.tolerant.encoding === REPLACEMENT) return undefined
  known.set(label, decoders)
  return decoders
}

export interface DecodedText {
  readonly text: string
  /** The charset is unknown; or it is missing, and the octets are not ASCII. */
  readonly isGuessed: boolean
  /** Octets were replaced by U+FFFD. */
  readonly isDamaged: boolean
}

/** Decodes octets. Without a known charset they are UTF-8 if they can be, or else Windows-1252. */
export function decodeText(octets: Uint8Array, charset: string | undefined): DecodedText {
  const label = charset === undefined ? undefined : charsetLabel(charset)
  if (label === undefined) {
    const text = utf8(octets)
    if (text === undefined) return { text: windows1252(octets), isGuessed: true, isDamaged: false }
    const isAscii = text.length === octets.length
    // A charset of 7 bits, as UTF-7, is no ASCII.
    const isNamed = charset !== undefined && charset !== ''
    return { text: text.startsWith(MARK) ? text.slice(1) : text, isGuessed: isNamed || !isAscii, isDamaged: false }
  }
  const ordered = label === UTF_16 && octets[0] === 0xfe && octets[1] === 0xff ? 'utf-16be' : label
  const decoders = decodersOf(ordered) as Decoders
  try {
    return { text: decoders.strict.decode(octets), isGuessed: false, isDamaged: false }
  } catch {
    return { text: decoders.tolerant.decode(octets), isGuessed: false, isDamaged: true }
  }
}

const MARK = '\ufeff'
/** Its byte order mark says which order it has. Without one it is little-endian, as programs write it. */
const UTF_16 = 'utf-16'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const western = new TextDecoder('windows-1252')

/** Returns undefined if the octets are not UTF-8. A byte order mark is kept. */
export function utf8(octets: Uint8Array): string | undefined {
  try {
    return strict.decode(octets)
  } catch {
    return undefined
  }
}

export function windows1252(octets: Uint8Array): string {
  return western.decode(octets)
}
