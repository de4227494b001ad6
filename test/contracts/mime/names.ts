/** Names of files: RFC 2183, RFC 2231, and what programs write instead. */
import { lines, type MessageRow, part, utf8 } from './row.ts'

/** A message with this behind `Content-Disposition: attachment;`. */
function named(name: string, parameters: string, expected: string | undefined, defects?: string): MessageRow {
  return {
    name,
    message: lines('Content-Type: image/png', `Content-Disposition: attachment; ${parameters}`, '', 'octets'),
    parts: [
      part('1', 'image/png', 'octets', {
        disposition: 'attachment',
        ...(expected === undefined ? {} : { name: expected }),
        ...(defects === undefined ? {} : { defects }),
      }),
    ],
  }
}

const MALFORMED = 'parameter-malformed'

export const names: readonly MessageRow[] = [
  named('a name is in pieces', 'filename*0="a long ";\r\n filename*1="name.txt"', 'a long name.txt'),
  named('the pieces of a name are in the wrong order', 'filename*1=b; filename*2=c.txt; filename*0=a', 'abc.txt'),
  named('a piece of a name is missing', 'filename*0=a; filename*2=c.txt', 'ac.txt', MALFORMED),
  named('the first piece of a name is missing', 'filename*1=b; filename*2=c.txt', undefined, MALFORMED),
  named('a piece of a name is repeated', 'filename*0=a; filename*0=b; filename*1=c', 'ac', MALFORMED),
  named('a name is there in both forms', `filename=old.txt; filename*=utf-8''n%C3%A9w.txt`, 'néw.txt'),
  named(
    'a name is there in both forms, the new one first',
    `filename*=utf-8''n%C3%A9w.txt; filename=old.txt`,
    'néw.txt',
  ),
  named('a character is cut between two pieces', `filename*0*=utf-8''%E2%82; filename*1*=%AC.txt`, '€.txt'),
  named('only some pieces are encoded', `filename*0*=utf-8''a%20; filename*1="b%20c"; filename*2*=%C3%A9`, 'a b%20cé'),
  named('an encoded name has an empty charset', `filename*=''caf%C3%A9.txt`, 'café.txt'),
  named('an encoded name has no charset', 'filename*=caf%C3%A9.txt', 'café.txt'),
  named('an encoded name is quoted', `filename*="utf-8''caf%C3%A9.txt"`, 'café.txt'),
  named('an encoded name is in Latin-1', `filename*=iso-8859-1'en'%A3%20rates`, '£ rates'),
  named('an encoded name has bad escapes', `filename*=utf-8''a%zz%4`, 'a%zz%4'),
  named('a name is in raw UTF-8', `filename="${utf8('naïve €.txt')}"`, 'naïve €.txt'),
  named('a name is in raw Latin-1', 'filename="na\xefve.txt"', 'naïve.txt'),
  named('a name is an encoded word', 'filename="=?utf-8?Q?caf=C3=A9.txt?="', 'café.txt'),
  named('a name is an encoded word without quotes', 'filename==?utf-8?B?Y2Fmw6kudHh0?=', 'café.txt'),
  named('a name is encoded words on two lines', 'filename="=?utf-8?B?Y2Fmw6k=?=\r\n =?utf-8?Q?=2Etxt?="', 'café.txt'),
  named('a name has path separators', 'filename="../../etc/passwd"', '../../etc/passwd'),
  named('a name has backslashes that quote', String.raw`filename="C:\\temp\"a.txt"`, String.raw`C:\temp"a.txt`),
  named('a name has controls', `filename*=utf-8''a%0D%0A%00b`, 'a\r\n\0b'),
  named('a name has a semicolon and an equals sign', 'filename="a;b=c.txt"; size=1', 'a;b=c.txt'),
  named('a name has blanks and no quotes', 'filename=my file.txt ; size=1', 'my file.txt'),
  named('a name has brackets and no quotes', 'filename=report (1).pdf', 'report (1).pdf'),
  named('a comment is behind a name', 'filename=a.txt (a comment); size=1', 'a.txt'),
  named('the quotes of a name do not end', 'filename="a.txt', 'a.txt', MALFORMED),
  named('text is behind the quotes of a name', 'filename="a.txt" b; size=1', 'a.txt'),
  named('a name is empty', 'filename=""', undefined),
  named('a name is there twice', 'filename=a.txt; filename=b.txt', 'a.txt', MALFORMED),
  named('a parameter has no value', 'filename; size=1', undefined, MALFORMED),
  named('a name has no semicolon before it', 'filename=a.txt size=1', 'a.txt size=1'),
  named('the number of a piece is no number', 'filename*x=a; filename*01*1=b; filename=c', 'c'),
  {
    name: 'a name is only in Content-Type',
    message: lines(
      'Content-Type: image/png; name="=?utf-8?Q?caf=C3=A9.png?="',
      'Content-Disposition: inline; filename=""',
      '',
      'octets',
    ),
    parts: [part('1', 'image/png', 'octets', { disposition: 'inline', name: 'café.png' })],
  },
  {
    name: 'a name is in both fields, which do not agree',
    message: lines(
      'Content-Type: image/png; name=a.png',
      'Content-Disposition: attachment; filename=b.png',
      '',
      'octets',
    ),
    parts: [part('1', 'image/png', 'octets', { disposition: 'attachment', name: 'b.png' })],
  },
  {
    name: 'a field has 5,000 parameters',
    message: () =>
      lines(
        'Content-Type: image/png',
        `Content-Disposition: attachment; filename=a.png${Array.from({ length: 5_000 }, (_, i) => `; p${i}=${i}`).join('')}`,
        '',
        'octets',
      ),
    parts: [part('1', 'image/png', 'octets', { disposition: 'attachment', name: 'a.png', defects: MALFORMED })],
  },
]
