/** Encoded words: RFC 2047. */
import { lines, type MessageRow, part, utf8 } from './row.ts'

/** A message whose subject is this. */
function subject(name: string, raw: string, expected: string): MessageRow {
  return {
    name,
    message: lines(`Subject: ${raw}`, '', 'text'),
    parts: [part('1', 'text/plain', 'text', { fields: { subject: expected } })],
  }
}

export const words: readonly MessageRow[] = [
  subject('blanks between two encoded words are left out', 'a =?utf-8?Q?b?= \t =?utf-8?Q?c?= d', 'a bc d'),
  subject('encoded words are folded', '=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=\r\n\tc', 'ab\tc'),
  subject('a character is cut between two words in base64', '=?utf-8?B?w6nD?= =?utf-8?B?qQ==?=', 'éé'),
  subject('a character is cut between two words in Q', '=?utf-8?Q?=E2=82?= =?UTF-8?q?=AC?=', '€'),
  subject('a character is cut between a word in base64 and one in Q', '=?utf-8?B?4oI=?= =?utf-8?Q?=AC?=', '€'),
  subject('neighbours have different charsets', '=?iso-8859-1?Q?=E9?= =?koi8-r?Q?=C1?=', 'éа'),
  subject(
    'an encoded word is inside of quotes',
    '"=?iso-8859-1?Q?Andr=E9?=" <a@example.com>',
    '"André" <a@example.com>',
  ),
  subject('an encoded word is within another word', 'ab=?utf-8?Q?cd?=ef', 'abcdef'),
  subject('an encoded word has blanks in it', '=?utf-8?Q?a b c?=', 'a b c'),
  subject('an encoded word does not end', 'a =?utf-8?Q?b', 'a =?utf-8?Q?b'),
  subject('an encoded word has an unknown encoding', '=?utf-8?X?b?=', '=?utf-8?X?b?='),
  subject('an encoded word has no charset', '=??Q?b?=', '=??Q?b?='),
  subject('an encoded word has no text', 'a =?utf-8?Q??= b', 'a  b'),
  subject('an encoded word has an unknown charset', '=?x-none?Q?caf=E9?=', 'café'),
  subject('an encoded word names a language', '=?iso-8859-1*fr?Q?caf=E9?=', 'café'),
  subject('an encoded word hides line ends', '=?utf-8?Q?a=0D=0ABcc:_b?=', 'a  Bcc: b'),
  subject('an encoded word has bad escapes', '=?utf-8?Q?a=Z1=4=?=', 'a=Z1=4='),
  subject('an encoded word in Q has raw UTF-8', `=?utf-8?Q?${utf8('é')}_=C3=A9?=`, 'é é'),
  subject('an encoded word in base64 lacks its padding', '=?utf-8?B?w6k?=', 'é'),
  subject('an encoded word in base64 has garbage', '=?utf-8?B?w-6*k=?=', 'é'),
  subject(
    'encoded words in ISO-2022-JP each have their escapes',
    '=?ISO-2022-JP?B?GyRCJCIbKEI=?= =?ISO-2022-JP?B?GyRCJCQbKEI=?=',
    'あい',
  ),
  subject('octets of an encoded word are not of its charset', '=?utf-8?Q?a=FFb?=', 'a\ufffdb'),
  subject('an encoded word in Q ends with a question mark', '=?utf-8?Q?what=3F?=', 'what?'),
]
