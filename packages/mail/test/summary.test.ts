/** The summary: what a list of messages shows, whatever the message is. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type MailSummary, parseDate, parseMailboxes, SummaryReader } from '../src/summary/index.ts'
import { cut, octetsOf, utf8Of } from './kit.ts'

const SEED = Number(process.env['SEED'] ?? 1)

function summaryOf(octets: Uint8Array, size = octets.length + 1): MailSummary {
  const reader = new SummaryReader()
  for (const piece of cut(octets, size)) reader.write(piece)
  return reader.end()
}

const MESSAGE = utf8Of(
  [
    'From: =?utf-8?Q?J=C3=B6rg?= <joerg@a.example>, "Doe, Jane" <jane@b.example>',
    'Reply-To: list@a.example',
    'To: team: ann@c.example, Bob <bob@c.example>;',
    'Cc: old@d.example (Old Program)',
    'Subject: =?iso-8859-1?Q?Gr=FC=DFe?= from',
    ' the =?utf-8?B?8J+MjQ==?=',
    'Date: Tue, 1 Dec 2026 10:00:00 +0200 (CET)',
    'Message-ID: <1@a.example>',
    'In-Reply-To: <0@b.example>',
    'References: <first@b.example>',
    '\t<0@b.example>',
    'List-Id: Our list <our.list.example>',
    'Auto-Submitted: auto-replied; owner="x"',
    'Content-Type: multipart/mixed; boundary=x',
    '',
    '--x',
    'Content-Type: multipart/alternative; boundary=y',
    '',
    '--y',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Hello,=20',
    '',
    '  this is =C3=A4 text.',
    '--y',
    'Content-Type: text/html',
    '',
    '<p>Hello in HTML</p>',
    '--y--',
    '--x',
    'Content-Type: application/pdf; name="=?utf-8?Q?Rechnung_=E2=82=AC.pdf?="',
    'Content-Transfer-Encoding: base64',
    '',
    'aGVsbG8gd29ybGQ=',
    '--x',
    'Content-Type: message/rfc822',
    '',
    'Subject: inner',
    '',
    'inner text',
    '--x--',
    '',
  ].join('\r\n'),
)

describe('a message', () => {
  test('has all that its fields and parts say', () => {
    expect(summaryOf(MESSAGE)).toEqual({
      subject: 'Grüße from the 🌍',
      from: [
        { name: 'Jörg', address: 'joerg@a.example' },
        { name: 'Doe, Jane', address: 'jane@b.example' },
      ],
      replyTo: [{ address: 'list@a.example' }],
      to: [{ address: 'ann@c.example' }, { name: 'Bob', address: 'bob@c.example' }],
      cc: [{ name: 'Old Program', address: 'old@d.example' }],
      date: '2026-12-01T08:00:00.000Z',
      messageId: '1@a.example',
      inReplyTo: ['0@b.example'],
      references: ['first@b.example', '0@b.example'],
      listId: 'our.list.example',
      autoSubmitted: 'auto-replied',
      snippet: 'Hello, this is ä text.',
      attachments: [
        { section: '2', fileName: 'Rechnung €.pdf', type: 'application/pdf', size: 11 },
        { section: '3', type: 'message/rfc822', size: 28 },
      ],
      attachmentCount: 2,
    })
  })

  test('has the same summary wherever its octets are cut', () => {
    const whole = summaryOf(MESSAGE)
    for (let size = 1; size < 200; size++) expect(summaryOf(MESSAGE, size)).toEqual(whole)
  })

  test('has a summary even if it is empty', () => {
    expect(summaryOf(new Uint8Array(0))).toEqual({ from: [], to: [], attachments: [], attachmentCount: 0 })
  })

  test('has the text of its HTML if it has no other', () => {
    const html =
      '<html><head><title>T</title><style>p{}</style></head><body><p>One &amp; two</p><!-- no --><b>three</b><script>x()</script>'
    expect(summaryOf(octetsOf(`Content-Type: text/html\r\n\r\n${html}`)).snippet).toBe('One & two three')
  })

  test('has a bounded summary, whatever it is', () => {
    const many = (line: string, count: number): string => line.repeat(count)
    const text = [
      `Subject: ${many('=?utf-8?Q?=E2=80=AE?= x', 500)}`,
      `From: ${many('"a" <a@b.example>, ', 500)}`,
      `References: ${many('<a@b.example> ', 500)}`,
      'Content-Type: multipart/mixed; boundary=x',
      // What comes after 64 KiB of header is not looked at.
      `To: ${many('"a" <a@b.example>, ', 5_000)}`,
      'Cc: <late@b.example>',
      '',
      many(`--x\r\nContent-Type: image/png; name="${many('n', 3_000)}"\r\n\r\nx\r\n`, 200),
      '--x--',
    ].join('\r\n')
    const summary = summaryOf(octetsOf(text))
    expect(JSON.stringify(summary).length).toBeLessThan(60_000)
    expect(summary).toMatchObject({ attachmentCount: 200 })
    expect([summary.from.length, summary.attachments.length, summary.references?.length]).toEqual([50, 50, 50])
    expect(summary.cc).toBeUndefined()
    // What turns the direction of text could make a reader see another subject.
    expect(summary.subject).not.toMatch(/\u202e/)
  })

  test('is read whatever its octets are', () => {
    const words = fc.constantFrom(
      'From: ',
      'Subject: ',
      '=?utf-8?B?',
      '?=',
      '<',
      '>',
      '(',
      ')',
      '"',
      '\\',
      ',',
      ';',
      ':',
      '\r\n',
      ' ',
      'a@b',
      '\xff',
      'Date: 1 Jan',
      'Content-Type: multipart/x; boundary=b',
      '--b',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), (list, size) => {
        const octets = octetsOf(list.join(''))
        expect(summaryOf(octets, size)).toEqual(summaryOf(octets))
      }),
      { numRuns: 500, seed: SEED },
    )
  })
})

describe('mailboxes', () => {
  test.each([
    ['a@b', [{ address: 'a@b' }]],
    ['<a@b>', [{ address: 'a@b' }]],
    ['A <a@b>, , <c@d>', [{ name: 'A', address: 'a@b' }, { address: 'c@d' }]],
    ['"a@evil" <a@b>', [{ name: 'a@evil', address: 'a@b' }]],
    ['"x\\"y" <a@b>', [{ name: 'x"y', address: 'a@b' }]],
    ['"odd local"@b', [{ address: '"odd local"@b' }]],
    ['(comment) a@b (Name)', [{ name: 'comment Name', address: 'a@b' }]],
    ['undisclosed-recipients:;', []],
    ['group: a@b, C <c@d>; e@f', [{ address: 'a@b' }, { name: 'C', address: 'c@d' }, { address: 'e@f' }]],
    ['<@route.example:a@b>', [{ address: 'a@b' }]],
    ['nobody', []],
    ['<a@b', []],
    ['', []],
  ])('%j has %j', (field, mailboxes) => {
    expect(parseMailboxes(field, 50)).toEqual(mailboxes)
  })
})

describe('dates', () => {
  test.each([
    ['Tue, 1 Dec 2026 10:00:00 +0200', '2026-12-01T08:00:00.000Z'],
    ['1 Dec 26 10:00 GMT', '2026-12-01T10:00:00.000Z'],
    ['Tue, 01 Dec 2026 10:00:00 -0000 (UTC)', '2026-12-01T10:00:00.000Z'],
    ['Fri, 21 Nov 97 09(comment):55:06 -0600', '1997-11-21T15:55:06.000Z'],
    ['Tue, 1 Dec 2026 10:00:00 PST', '2026-12-01T18:00:00.000Z'],
    ['31 Feb 2026 10:00:00 +0000', undefined],
    ['1 Foo 2026 10:00:00 +0000', undefined],
    ['1 Dec 2026 25:00:00 +0000', undefined],
    ['yesterday', undefined],
    ['', undefined],
  ])('%j is %s', (field, iso) => {
    const ms = parseDate(field)
    expect(ms === undefined ? undefined : new Date(ms).toISOString()).toBe(iso)
  })
})
