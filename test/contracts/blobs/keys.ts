/** A key has segments of a safe alphabet. A store refuses any other text at once, as a key and as a prefix, and touches nothing. */
import { type BlobStore, isStorageError } from '@postern/storage'
import fc from 'fast-check'
import { type Check, type Ground, type MakeStore } from './check.ts'
import { ensure, equal, expectCode, hasKeys, holds, inParallel, put } from './exchange.ts'

export const HOSTILE_KEYS: readonly string[] = [
  '',
  '.',
  '..',
  '/',
  '/etc/passwd',
  'a/',
  'a//b',
  'a/./b',
  'a/../b',
  '../b',
  'a/..',
  'a\\..\\b',
  'a\0b',
  '.hidden',
  '.tmp/x',
  'a/.b',
  'a b',
  'a\nb',
  'a\r\nb',
  'a:b',
  'a*',
  'a?b=c',
  'a#b',
  'a&b',
  'a+b',
  'a;b',
  '<a>',
  '"a"',
  'ä',
  '~',
  '%2e%2e/x',
  '%2F',
  'x'.repeat(256),
  'x/'.repeat(512) + 'x',
  'x'.repeat(100_000),
]

const ASCII: readonly string[] = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))

/** Characters that a file system, a URL, XML or a reader may confuse with others. */
const UNICODE: readonly string[] = [
  '\u0080', // a C1 control
  '\u0085', // next line
  '\u00a0', // no-break space
  '\u00ad', // soft hyphen
  'ä',
  'a\u0308', // the same, decomposed
  'ß',
  'ſ', // becomes S in capitals
  'ı',
  'İ',
  '\u212a', // the Kelvin sign, which becomes k
  '\u0660', // a digit to some
  'Ａ', // full width
  '\uff0e', // a full stop, full width
  '\uff0f', // a slash, full width
  '\u2024', // one dot leader
  '\u2025', // two of them
  '\u2044',
  '\u2215', // slashes
  '\u2028', // line separator
  '\u202e', // right to left from here
  '\u200b',
  '\u200d', // of no width
  '\ufeff',
  '\ufffd',
  '\uffff',
  '\u{1f600}',
  '\u{e0041}', // a tag, which is not to be seen
  '\u{10ffff}',
  '\ud800', // half a character
  '\udc00',
]

/** The longest segment and the longest key, in bytes. */
const LONGEST_SEGMENT = 's'.repeat(255)
const LONGEST_KEY = `${'k'.repeat(200)}/`.repeat(5).padEnd(1024, 'k')

type Position = 'start' | 'middle' | 'end'
const POSITIONS: readonly Position[] = ['start', 'middle', 'end']

/** Makes a key with this character at this position. All keys differ, also on a store that ignores case. */
function keyWith(character: string, position: Position): string {
  const code = Array.from(character, (each) => (each.codePointAt(0) ?? 0).toString(16)).join('-')
  if (position === 'start') return `${character}-${code}`
  return position === 'middle' ? `${code}${character}m` : `${code}-e${character}`
}

function isAllowed(character: string, position: Position): boolean {
  if (character === '.') return position !== 'start'
  return character === '/' ? position === 'middle' : /^[A-Za-z0-9_-]$/.test(character)
}

/** Returns whether a character is neither a letter nor a digit, or is one of the six that stand for all of these. */
function isSpecial(character: string): boolean {
  return !/^[A-Za-z0-9]$/.test(character) || 'azAZ09'.includes(character)
}

function withEach(characters: readonly string[]): { key: string; allowed: boolean }[] {
  return characters.flatMap((character) =>
    POSITIONS.map((position) => ({ key: keyWith(character, position), allowed: isAllowed(character, position) })),
  )
}

async function refusesKey(store: BlobStore, key: string): Promise<void> {
  const shown = JSON.stringify(key.slice(0, 40))
  let writing: unknown = 'a writer'
  try {
    await store.write(key).abort()
  } catch (error) {
    writing = error
  }
  ensure(isStorageError(writing, 'invalid-key'), `write ${shown}: expected \`invalid-key\`, got ${String(writing)}`)
  await expectCode('invalid-key', () => store.read(key), `read ${shown}`)
  await expectCode('invalid-key', () => store.head(key), `head ${shown}`)
  await expectCode('invalid-key', () => store.delete(key), `delete ${shown}`)
}

async function refusesPrefix(store: BlobStore, prefix: string): Promise<void> {
  await expectCode('invalid-key', () => store.list({ prefix }), `list ${JSON.stringify(prefix.slice(0, 40))}`)
}

/** Returns whether a text may be a prefix: '' for all keys, or a folder. */
function isPrefixAlone(key: string): boolean {
  return key === '' || /^[\w-][\w.-]*\/$/.test(key)
}

export const keys: readonly Check[] = [
  {
    name: 'hostile keys and prefixes are refused with `invalid-key`',
    async run(make) {
      const store = await make()
      for (const key of HOSTILE_KEYS) {
        await refusesKey(store, key)
        if (!isPrefixAlone(key)) await refusesPrefix(store, key)
      }
      await hasKeys(store, [], 'keys after all that was refused')
    },
  },
  { name: 'only the allowed ASCII characters are accepted at the start, middle and end of a key', run: everyAsciiKey },
  {
    name: 'only the allowed ASCII characters are accepted at the start, middle and end of a prefix',
    async run(make) {
      const store = await make()
      const cases = withEach(ASCII)
      const there = withEach(ASCII.filter(isSpecial)).filter(({ allowed }) => allowed)
      await inParallel(there, ({ key }) => put(store, key), 10)
      for (const { key } of there) equal((await store.list({ prefix: key })).keys, [key], `list ${key}`)
      for (const { key, allowed } of cases) {
        if (!allowed && !isPrefixAlone(key)) await refusesPrefix(store, key)
      }
    },
  },
  {
    name: 'Unicode is refused at the start, middle and end of a key and of a prefix',
    async run(make) {
      const store = await make()
      for (const { key } of withEach(UNICODE)) {
        await refusesKey(store, key)
        await refusesPrefix(store, key)
      }
      await hasKeys(store, [], 'keys after all that was refused')
    },
  },
  {
    name: 'the longest segment and key are accepted, and one byte more is refused',
    async run(make, { prefixBytes = 0 } = {}) {
      const store = await make()
      const longest = LONGEST_KEY.slice(0, LONGEST_KEY.length - prefixBytes)
      await refusesKey(store, `${LONGEST_KEY}x`)
      await refusesPrefix(store, `${LONGEST_KEY}x`)
      await refusesKey(store, `${LONGEST_SEGMENT}x`)
      await refusesPrefix(store, `${LONGEST_SEGMENT}x`)
      for (const key of [LONGEST_SEGMENT, longest]) {
        await put(store, key, 'long')
        await holds(store, key, 'long')
        equal((await store.list({ prefix: key })).keys, [key], 'a list with the prefix as long')
        await expectCode('exists', () => put(store, key), 'a second writer')
      }
      equal(await store.list({ prefix: `${longest}/` }), { keys: [], prefixes: [] }, 'a list below the longest')
      for (const key of [LONGEST_SEGMENT, longest]) await store.delete(key)
      await hasKeys(store, [], 'keys after the deletes')
    },
  },
  { name: 'any text is accepted as a key by all methods or by none', run: isTakenByAllOrNone },
]

async function everyAsciiKey(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const store = await make()
  const cases = withEach(isBrief ? ASCII.filter(isSpecial) : ASCII)
  for (const { key, allowed } of cases) if (!allowed) await refusesKey(store, key)
  const there = cases.filter(({ allowed }) => allowed).map(({ key }) => key)
  await inParallel(there, (key) => put(store, key), 10)
  await hasKeys(store, there, 'keys')
  await inParallel(there, (key) => holds(store, key, key), 10)
}

async function isTakenByAllOrNone(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const store = await make()
  const nasty = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(fc.constantFrom('.', '..', '/', 'a', 'B', '0', '_', '\\', '\0', '-', '%')).map((parts) => parts.join('')),
  )
  await fc.assert(
    fc.asyncProperty(nasty, async (key) => {
      const allowed = key.split('/').every((segment) => /^[\w-][\w.-]{0,254}$/.test(segment))
      if (!allowed) return refusesKey(store, key)
      await store.write(key).abort()
      equal(await store.head(key), undefined, `head of ${key}`)
    }),
    { numRuns: isBrief ? 25 : 500 },
  )
  await hasKeys(store, [], 'keys')
}
