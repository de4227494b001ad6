/**
 * Finds a mistake in JSON. `JSON.parse` reports its line only on some runtimes, and its message may quote a secret of the file.
 */

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma or end' | 'nothing'

/** One token of JSON (RFC 8259), with the white space before it. */
const TOKEN =
  /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null))/y

/** The place where a text stops being JSON. */
export interface JsonMistake {
  /** From 1. */
  readonly line: number
  /** The end of the sentence "there must be …". */
  readonly allowed: string
}

const ALLOWED: Readonly<Record<Expected, string>> = {
  value: 'a value',
  'value or ]': 'a value or ]',
  key: 'a key in double quotes',
  'key or }': 'a key in double quotes or }',
  colon: 'a colon',
  'comma or end': 'a comma, or the end of the object or list',
  nothing: 'the end of the file',
}

/** Finds the first mistake. @param text A text that `JSON.parse` refuses */
export function jsonMistake(text: string): JsonMistake {
  const open: string[] = []
  let expected: Expected = 'value'
  let at = 0
  TOKEN.lastIndex = 0
  for (;;) {
    at = TOKEN.lastIndex
    const [, mark, string, other] = TOKEN.exec(text) ?? []
    const follows = next(expected, open, mark ?? (string === undefined ? other && 'value' : 'string'))
    if (follows === undefined) break
    expected = follows
  }
  const white = /^[ \t\r\n]*/.exec(text.slice(at))?.[0].length ?? 0
  return { line: text.slice(0, at + white).split('\n').length, allowed: ALLOWED[expected] }
}

/** Returns what may follow the token; undefined if the token is not allowed here. */
function next(expected: Expected, open: string[], token: string | undefined): Expected | undefined {
  switch (token) {
    case '{':
    case '[':
      if (!expected.startsWith('value')) return undefined
      open.push(token)
      return token === '{' ? 'key or }' : 'value or ]'
    case '}':
      if (open.pop() !== '{' || (expected !== 'key or }' && expected !== 'comma or end')) return undefined
      return afterValue(open)
    case ']':
      if (open.pop() !== '[' || (expected !== 'value or ]' && expected !== 'comma or end')) return undefined
      return afterValue(open)
    case ',':
      if (expected !== 'comma or end') return undefined
      return open.at(-1) === '{' ? 'key' : 'value'
    case ':':
      return expected === 'colon' ? 'value' : undefined
    case 'string':
      if (expected.startsWith('key')) return 'colon'
      return expected.startsWith('value') ? afterValue(open) : undefined
    case 'value':
      return expected.startsWith('value') ? afterValue(open) : undefined
    default:
      return undefined
  }
}

function afterValue(open: readonly string[]): Expected {
  return open.length === 0 ? 'nothing' : 'comma or end'
}
