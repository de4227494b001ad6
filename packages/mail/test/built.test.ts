/** What is built is found again: any tree of parts, in any transfer encoding, however the octets are cut. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cut, placesIn, type Seen, seenIn } from './kit.ts'

const SEED = Number(process.env['SEED'] ?? 1)

type Tree = Leaf | Multipart | Nested
interface Leaf {
  readonly kind: 'leaf'
  readonly type: string
  readonly encoding: 'base64' | 'quoted-printable' | 'binary'
  readonly name: string | undefined
  readonly body: Uint8Array
}
interface Multipart {
  readonly kind: 'multipart'
  readonly boundary: string
  readonly preamble: string
  readonly parts: readonly Tree[]
}
interface Nested {
  readonly kind: 'message'
  readonly message: Tree
}

const name = fc.oneof(
  fc.constant(undefined),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).filter((text) => text.isWellFormed()),
)
/** Octets that look like delimiters, and are none. */
const tricky = fc
  .array(fc.constantFrom('--', '\r\n', '-', 'a', '\n', '\r', '--x', '\r\n--', '--b0--', ' ', '=', '\xff', '\x00'), {
    maxLength: 40,
  })
  .map((words) => Uint8Array.from(Buffer.from(words.join(''), 'latin1')))
const leaf: fc.Arbitrary<Leaf> = fc.record({
  kind: fc.constant('leaf' as const),
  type: fc.constantFrom('text/plain', 'application/octet-stream', 'image/png', 'text/html'),
  encoding: fc.constantFrom('base64' as const, 'quoted-printable' as const, 'binary' as const),
  name,
  body: fc.oneof(tricky, fc.uint8Array({ maxLength: 300 })),
})
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.record({
      kind: fc.constant('multipart' as const),
      // Some are the beginning of others.
      boundary: fc.constantFrom('b', 'bb', 'b--', '=_b', "b'()+_,-./:?", 'b c'),
      preamble: fc.constantFrom('', 'This is a multipart.\r\n', '--\r\n'),
      parts: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('message' as const), message: tie('tree') }),
  ),
}))

/** RFC 2231: any name in ASCII. */
function parameterOf(value: string): string {
  return Array.from(Buffer.from(value), (octet) => `%${octet.toString(16).padStart(2, '0')}`).join('')
}

function encoded({ encoding, body }: Leaf): string {
  const bytes = Buffer.from(body)
  if (encoding === 'base64') return bytes.toString('base64').replaceAll(/.{76}/g, '$&\r\n')
  if (encoding === 'binary') return bytes.toString('latin1')
  return Array.from(bytes, (octet) => `=${octet.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('')
    .replaceAll(/.{72}/g, '$&=\r\n')
}

class Builder {
  readonly seen: Seen[] = []
  /** The bodies of parts that have one. */
  get leaves(): readonly string[] {
    return this.seen.filter(({ type }) => !/^(?:multipart|message)\//.test(type)).map(({ body }) => body)
  }
  #count = 0

  /** Returns the header and the body. @param isRoot It is the whole of a message */
  build(built: Tree, section: string, isRoot: boolean): string {
    if (built.kind === 'leaf') {
      const disposition =
        built.name === undefined
          ? ''
          : `Content-Disposition: attachment; filename*=utf-8''${parameterOf(built.name)}\r\n`
      this.#see(section, built.type, built.name, Buffer.from(built.body).toString('latin1'))
      return `Content-Type: ${built.type}\r\n${disposition}Content-Transfer-Encoding: ${built.encoding}\r\n\r\n${encoded(built)}`
    }
    if (built.kind === 'message') {
      this.#see(section, 'message/rfc822', undefined, '')
      return `Content-Type: message/rfc822\r\n\r\n${this.build(built.message, `${section}.1`, true)}`
    }
    const own = isRoot ? section.replace(/1$/, '') : `${section}.`
    this.#see(isRoot ? `${own}TEXT` : section, 'multipart/mixed', undefined, '')
    const boundary = `${built.boundary}${this.#count++}`
    const inner = built.parts.map((part, index) => this.build(part, `${own}${index + 1}`, false))
    const delimited = inner.map((part) => `--${boundary}\r\n${part}\r\n`).join('')
    return `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n${built.preamble}${delimited}--${boundary}--\r\n`
  }

  #see(section: string, type: string, fileName: string | undefined, body: string): void {
    this.seen.push({ section, type, name: fileName, body, defects: '' })
  }
}

test('every tree of parts is found again, whole and cut into pieces of any size', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.integer({ min: 1, max: 100 }), async (built, size) => {
      const builder = new Builder()
      const octets = Uint8Array.from(Buffer.from(builder.build(built, '1', true), 'latin1'))
      // What a body has by chance may be a delimiter of this message.
      fc.pre(!builder.seen.some(({ body }) => /^--(b|bb|b--|=_b|b c|b'\(\)\+_,-\.\/:\?)\d/m.test(body)))
      expect(await seenIn(octets)).toEqual(builder.seen)
      expect(await seenIn(cut(octets, size))).toEqual(builder.seen)
      const decoded: string[] = []
      for (const { start, length, encoding } of await placesIn(cut(octets, size))) {
        const field = Buffer.from(`Content-Transfer-Encoding: ${encoding}\r\n\r\n`)
        const [only] = await seenIn([field, octets.subarray(start, start + length)])
        decoded.push(only?.body ?? '')
      }
      expect(decoded).toEqual(builder.leaves)
    }),
    { numRuns: 400, seed: SEED },
  )
})
