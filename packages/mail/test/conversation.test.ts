/** What of a text the author wrote, and which conversation a message belongs to. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type TextBlock, textBlocks, threadIdOf, unflowed } from '../src/conversation/index.ts'

const SEED = Number(process.env['SEED'] ?? 1)

/** Each line with the letter of its kind: t, q, a or s. */
function marked(text: string): string {
  const lines = text.split('\n')
  return textBlocks(text)
    .flatMap(({ kind, firstLine, lastLine }) =>
      lines.slice(firstLine - 1, lastLine).map((line) => `${kind.charAt(0)} ${line}`),
    )
    .join('\n')
}

const CASES: Readonly<Record<string, string>> = {
  'a plain text': 't Hello\nt \nt World',
  'a reply below a quote':
    'a On Mon, 1 Dec 2026 at 10:00, Ann <ann@a.example> wrote:\nq > Hello\nq > World\nt \nt Yes.',
  'an attribution of two lines':
    't Yes.\nt \na On Monday, 1 December 2026 at 10:00, Ann Example\na <ann@a.example> wrote:\nq > Hello',
  'an empty line below the attribution': 'a Am 01.12.2026 um 10:00 schrieb Ann:\na \nq > Hallo',
  'another language': 't Oui\na Le lun. 1 déc. 2026 à 10:00, Ann a écrit :\nq > Bonjour',
  'answers between quotes': 'q > One\nt Yes\nq > Two\nt No',
  'a line with a colon that is no attribution': 't See:\nt text\nq > a',
  'a signature': 't Hello\ns -- \ns Ann\ns https://a.example',
  'a signature without its blank': 't Hello\ns --\ns Ann',
  'a signature before a quote': 't Hello\ns -- \ns Ann\nq > quoted',
  "Outlook's block":
    't Yes\nt \na From: Ann <ann@a.example>\na Sent: Monday\na To: Bob\na Subject: Hello\nq \nq Hello Bob\nq -- \nq Ann',
  'a block in bold and in German': 't Ja\na *Von:* Ann\na *Gesendet:* Montag\na *An:* Bob\na *Betreff:* Hallo\nq Hallo',
  'an original message': 't Yes\na -----Original Message-----\na From: Ann\na Subject: x\nq Hello',
  'a forwarded message of Gmail':
    't FYI\na ---------- Forwarded message ---------\na From: Ann\na Date: Mon\na Subject: x\na To: Bob\nq \nq Hello',
  'a forwarded message of Apple': 't FYI\na Begin forwarded message:\na \na From: Ann\na Subject: x\nq Hello',
  'fields that are only text': 't From: Berlin\nt To: Paris\nt Date: Monday\nt the trip',
  'a remark above a quote': 't Look at this, it is important:\nq > a',
  'an address above a quote': 'a Ann <ann@a.example>:\nq > a',
  'too many lines below a signature': ['t -- ', ...Array.from({ length: 50 }, (_, i) => `t line ${i}`)].join('\n'),
}

test.each(Object.entries(CASES))('%s', (_, expected) => {
  const text = expected
    .split('\n')
    .map((line) => line.slice(2))
    .join('\n')
  const kinds = expected.split('\n').map((line) => line.charAt(0))
  const found = marked(text).split('\n')
  // An empty line between attribution and quote belongs to either.
  expect(found.filter((line) => line.length > 2)).toEqual(expected.split('\n').filter((line) => line.length > 2))
  expect(found).toHaveLength(kinds.length)
})

test('each line is in one block, neighbours differ, and line ends do not matter', () => {
  const line = fc.oneof(
    fc.constantFrom(
      '> a',
      '>',
      '',
      '-- ',
      '--',
      'On x wrote:',
      'From: a',
      'To: b',
      'Subject: c',
      '----- Original Message -----',
      'text:',
      'text',
    ),
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[\r\n]/g, '')),
  )
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 40 }), (lines) => {
      const text = `${lines.join('\n')}\n`
      const blocks = textBlocks(text)
      let next = 1
      let before: TextBlock | undefined
      for (const block of blocks) {
        expect(block.firstLine).toBe(next)
        expect(block.lastLine).toBeGreaterThanOrEqual(block.firstLine)
        expect(block.kind).not.toBe(before?.kind)
        next = block.lastLine + 1
        before = block
      }
      expect(next - 1).toBe(lines.length)
      expect(textBlocks(`${lines.join('\r\n')}\r\n`)).toEqual(blocks)
    }),
    { seed: SEED },
  )
})

test('a text with very many blocks has at most 1,000, and each line is still in one', () => {
  const blocks = textBlocks('> a\nb\n'.repeat(5_000))
  expect([blocks.length, blocks.at(-1)?.lastLine]).toEqual([1_000, 10_000])
})

test.each<[string, string, boolean, string]>([
  ['a paragraph', 'one \r\ntwo \r\nthree\r\nfour', false, 'one two three\nfour'],
  ['DelSp', '日本 \r\n語', true, '日本語'],
  ['stuffing', ' From me\r\n > no quote\r\n  indented', false, 'From me\n> no quote\n indented'],
  ['quotes', '> one \r\n> two\r\n>> deep \r\n> back\r\n>\r\nmine', false, '> one two\n>> deep \n> back\n>\nmine'],
  ['a signature', 'text \r\n-- \r\nAnn', false, 'text \n-- \nAnn'],
  ['a quoted signature', '> text\r\n> -- \r\n> Ann', false, '> text\n> -- \n> Ann'],
  ['nothing', '', false, ''],
  ['an open end', 'one ', false, 'one '],
])('format=flowed: %s', (_, text, delSp, expected) => {
  expect(unflowed(text, delSp)).toBe(expected)
})

test('text that is flowed by the rules comes back', () => {
  const word = fc.stringMatching(/^[a-z>-]{1,12}$/).filter((text) => text !== '--')
  const paragraph = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(' '))
  fc.assert(
    fc.property(
      fc.array(fc.record({ depth: fc.nat({ max: 3 }), paragraph }), { maxLength: 6 }),
      fc.boolean(),
      (written, delSp) => {
        const lines = written.flatMap(({ depth, paragraph: text }) => {
          const words = text.split(' ')
          return words.map((one, i) => `${'>'.repeat(depth)} ${one}${i === words.length - 1 ? '' : delSp ? '  ' : ' '}`)
        })
        const expected = written.map(
          ({ depth, paragraph: text }) => `${'>'.repeat(depth)}${depth > 0 ? ' ' : ''}${text}`,
        )
        expect(unflowed(lines.join('\r\n'), delSp)).toBe(expected.join('\n'))
      },
    ),
    { seed: SEED },
  )
})

test('a message belongs to the conversation that its first reference began', () => {
  const summary = { from: [], to: [], attachments: [], attachmentCount: 0 }
  const [messageId, inReplyTo, references] = ['c@x', ['b@x'], ['a@x', 'b@x']]
  expect(threadIdOf({ ...summary, messageId, inReplyTo, references })).toBe('a@x')
  expect(threadIdOf({ ...summary, messageId, inReplyTo })).toBe('b@x')
  expect(threadIdOf({ ...summary, messageId })).toBe('c@x')
  expect(threadIdOf(summary)).toBeUndefined()
})
