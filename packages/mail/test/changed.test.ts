/** Awkward messages, changed at random and cut anywhere: nothing throws, no limit is passed, and the cuts change nothing of what is found. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CORPUS, messageOf } from '../../../test/contracts/mime/mime.ts'
import { isThorough } from '../../../test/kit/sample.ts'
import { AttachmentReader, type MailSummary, SummaryReader } from '../src/summary/index.ts'
import { octetsOf, placesIn, seenIn } from './kit.ts'

const SEED = Number(process.env['SEED'] ?? 1)
const RUNS = isThorough ? 20_000 : 400
/** Less than the default, so that messages reach them. */
const LIMITS = { maxParts: 20, maxDepth: 4, maxHeaderOctets: 2_000, maxFields: 20, maxDefects: 5 }
const MESSAGES = CORPUS.flatMap(({ rows }) => rows.map(messageOf)).filter(({ length }) => length <= 5_000)
/** One in a line. */
const TOKENS = String.raw`
\r\n
\n
\r
--
--x
--b--
=
=?
?=
=?utf-8?B?
"
(
)
\\
<
>
:
;
,
@
*
\x00
\xff
\xfe\xff
begin 644 a\r\n
\x60\r\nend\r\n
Content-Type: multipart/mixed; boundary=b\r\n
Content-Type: message/rfc822\r\n
Content-Transfer-Encoding: base64\r\n
Content-Transfer-Encoding: quoted-printable\r\n
name*0*=utf-8''%41
\r\n\r\n
\x20
\t`
  .split('\n')
  .slice(1)
  .map((line) => JSON.parse(`"${line.replaceAll('"', '\\"').replaceAll(/\\x(..)/g, '\\u00$1')}"`) as string)
  .map(octetsOf)

interface Change {
  /** Where it begins, as a part of the length. */
  readonly at: number
  readonly removed: number
  readonly token: Uint8Array
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.oneof(fc.constant(0), fc.nat({ max: 200 })),
  token: fc.constantFrom(new Uint8Array(0), ...TOKENS),
})
const message = fc
  .tuple(fc.constantFrom(...MESSAGES), fc.array(change, { maxLength: 8 }))
  .map(([original, changes]) => changes.reduce(changed, original))
const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 })

function changed(octets: Uint8Array, { at, removed, token }: Change): Uint8Array {
  const start = Math.floor(at * octets.length)
  return Uint8Array.from([...octets.subarray(0, start), ...token, ...octets.subarray(start + removed)])
}

/** Cuts octets into pieces of these sizes, again and again. Each piece is changed when it was read, as a socket's buffer is. */
function* piecesOf(octets: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  const buffer = new Uint8Array(60)
  for (let at = 0, i = 0; at < octets.length; i++) {
    const size = sizes[i % sizes.length] as number
    const piece = octets.subarray(at, at + size)
    buffer.fill(0xee)
    buffer.set(piece)
    yield buffer.subarray(0, piece.length)
    at += size
  }
}

function summaryOf(pieces: Iterable<Uint8Array>): MailSummary {
  const reader = new SummaryReader()
  for (const piece of pieces) reader.write(piece)
  return reader.end()
}

function attachmentsOf(pieces: Iterable<Uint8Array>): object[] {
  const reader = new AttachmentReader()
  const found: { head: object; body: string }[] = []
  const take = (): void => {
    for (let event = reader.next(); event !== undefined; event = reader.next()) {
      if (event.kind === 'begin') found.push({ head: event.attachment, body: '' })
      else if (event.kind === 'octets')
        (found.at(-1) as { body: string }).body += Buffer.from(event.octets).toString('latin1')
    }
  }
  for (const piece of pieces) {
    reader.receive(piece)
    take()
  }
  reader.end()
  take()
  return found
}

test('parts are the same in pieces as in the whole, and within the limits', async () => {
  await fc.assert(
    fc.asyncProperty(message, cuts, async (octets, sizes) => {
      const whole = await seenIn([octets], { limits: LIMITS })
      expect(await seenIn(piecesOf(octets, sizes), { limits: LIMITS })).toEqual(whole)
      const places = await placesIn([octets], { limits: LIMITS })
      expect(await placesIn(piecesOf(octets, sizes), { limits: LIMITS })).toEqual(places)
      expect(whole.length).toBeLessThanOrEqual(LIMITS.maxParts)
      for (const { section, defects } of whole) {
        expect(section.split('.').length).toBeLessThanOrEqual(LIMITS.maxDepth * 2)
        expect(defects.split(' ').length).toBeLessThanOrEqual(LIMITS.maxDefects)
      }
    }),
    { numRuns: RUNS, seed: SEED },
  )
})

test('the summary and the attachments are the same in pieces as in the whole', () => {
  fc.assert(
    fc.property(message, cuts, (octets, sizes) => {
      const whole = summaryOf([octets])
      expect(summaryOf(piecesOf(octets, sizes))).toEqual(whole)
      const attachments = attachmentsOf([octets])
      expect(attachmentsOf(piecesOf(octets, sizes))).toEqual(attachments)
      expect(attachments.length).toBe(whole.attachmentCount)
    }),
    { numRuns: RUNS, seed: SEED },
  )
})
