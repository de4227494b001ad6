/** Header sections: RFC 5322 2.2, RFC 2045 5.1. */
import { lines, type MessageRow, opened, part, utf8 } from './row.ts'

const TEXT = 'text/plain'

export const fields: readonly MessageRow[] = [
  { name: 'the message has no octet', message: '', parts: [part('1', TEXT, '')] },
  {
    name: 'the message is one empty line',
    message: '\r\n',
    parts: [part('1', TEXT, '')],
  },
  {
    name: 'the message has only a header section',
    message: 'Subject: only this',
    parts: [part('1', TEXT, '', { fields: { subject: 'only this' } })],
  },
  {
    name: 'the message has only a body',
    message: '\r\ntext\r\n',
    parts: [part('1', TEXT, 'text\r\n')],
  },
  {
    name: 'no empty line is before the body',
    message: lines('Subject: a', 'This text is no field', 'X: b', ''),
    parts: [part('1', TEXT, '', { fields: { subject: 'a', x: 'b' }, defects: 'field-malformed' })],
  },
  {
    name: 'all line ends are LF',
    message: 'Subject: a\n b\nContent-Type: text/html\n\n<p>\ntext\n',
    parts: [part('1', 'text/html', '<p>\ntext\n', { fields: { subject: 'a b' } })],
  },
  {
    name: 'all line ends are CR, which end no line',
    message: 'Subject: a\rContent-Type: text/html\r\rtext\r',
    parts: [part('1', TEXT, '', { fields: { subject: 'a Content-Type: text/html  text' }, defects: 'field-control' })],
  },
  {
    name: 'line ends are mixed, and the body keeps them',
    message: 'Subject: a\r\nX-One: b\nContent-Type: text/html\r\n\none\r\ntwo\nthree\rfour\n\r',
    parts: [part('1', 'text/html', 'one\r\ntwo\nthree\rfour\n\r', { fields: { subject: 'a', 'x-one': 'b' } })],
  },
  {
    name: 'every field is folded wherever it can be',
    message: lines(
      'Subject:',
      ' a',
      '\tb',
      'Content-Type:',
      ' multipart/mixed',
      ' ;',
      '\tboundary',
      ' =',
      ' "x"',
      '',
      '--x',
      'Content-Disposition:',
      ' attachment;',
      ' filename="a',
      ' b.txt"',
      '',
      'a',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/mixed', { fields: { subject: 'a\tb' } }),
      part('1', TEXT, 'a', { disposition: 'attachment', name: 'a b.txt' }),
    ],
  },
  {
    name: 'a field is folded by a line of white space, which does not end the header section',
    message: lines('Subject: a', ' ', ' b', 'X: c', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'a  b', x: 'c' } })],
  },
  {
    name: 'the first line is a continuation',
    message: lines(' of nothing', 'Subject: a', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'a' }, defects: 'field-malformed' })],
  },
  {
    name: 'the first line is the one of an mbox',
    message: lines('From a@example.com Tue Dec  1 05:00:00 2026', 'Subject: a', '>From b', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'a' }, defects: 'field-malformed' })],
  },
  {
    name: 'a byte order mark is in front of the message',
    message: utf8('\ufeff') + lines('Subject: a', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'a' }, defects: 'byte-order-mark' })],
  },
  {
    name: 'names of fields have blanks, no letters, or 8-bit octets',
    message: lines('Subject : a', ': no name', 'X\xe9: b', 'Two Words: c', 'Y:d', 'Z:', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'a', y: 'd', z: '' }, defects: 'field-malformed' })],
  },
  {
    name: 'NUL octets are in the header section and in the body',
    message: lines('Subject: a\0b', 'X\0: c', '', 'te\0xt\0'),
    parts: [part('1', TEXT, 'te\0xt\0', { fields: { subject: 'a b' }, defects: 'field-malformed field-control' })],
  },
  {
    name: 'a field is in UTF-8',
    message: lines(`Subject: ${utf8('naïve €')}`, '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'naïve €' } })],
  },
  {
    name: 'a field is in Latin-1',
    message: lines('Subject: na\xefve', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'naïve' } })],
  },
  {
    name: 'one field is in UTF-8, and another one in Latin-1',
    message: lines(`Subject: ${utf8('naïve')}`, 'Comments: na\xefve', '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'naïve', comments: 'naïve' } })],
  },
  {
    name: 'Content-Type is there twice',
    message: lines('Content-Type: text/html', 'Content-Type: text/plain', '', 'text'),
    parts: [part('1', 'text/html', 'text', { defects: 'field-repeated' })],
  },
  {
    name: 'Content-Type has no subtype',
    message: lines('Content-Type: text', '', 'text'),
    parts: [part('1', TEXT, 'text', { defects: 'type-malformed' })],
  },
  {
    name: 'Content-Type is empty',
    message: lines('Content-Type:', '', 'text'),
    parts: [part('1', TEXT, 'text', { defects: 'type-malformed' })],
  },
  {
    name: 'Content-Type is malformed',
    message: lines('Content-Type: /; "=;;(', '', 'text'),
    parts: [part('1', TEXT, 'text', { defects: 'type-malformed parameter-malformed' })],
  },
  {
    name: 'Content-Type has two slashes',
    message: lines('Content-Type: text/html/x', '', 'text'),
    parts: [part('1', TEXT, 'text', { defects: 'type-malformed' })],
  },
  {
    name: 'Content-Type has comments everywhere',
    message: lines(
      'Content-Type: (a) text/html (b (c \\) d)) ; (e) charset (f) = (g) iso-8859-1 (h) ; (i)',
      '',
      '\xe9',
    ),
    parts: [part('1', 'text/html', '\xe9', { text: 'é' })],
  },
  {
    name: 'Content-Type is in upper case, with empty parameters',
    message: lines('CONTENT-TYPE: TEXT/HTML;; CHARSET="ISO-8859-1"; ;', '', '\xe9'),
    parts: [part('1', 'text/html', '\xe9', { text: 'é' })],
  },
  {
    name: 'a comment of Content-Type does not end',
    message: lines('Content-Type: text/html; charset=utf-8 (((((', '', 'text'),
    parts: [part('1', 'text/html', 'text', { text: 'text', defects: 'parameter-malformed' })],
  },
  {
    name: 'a part has no Content-Type among other fields',
    message: lines('MIME-Version: 1.0', 'Content-Disposition: inline', 'Content-ID: <a@b>', '', 'text'),
    parts: [part('1', TEXT, 'text', { disposition: 'inline', contentId: 'a@b' })],
  },
  {
    name: 'Content-ID has no brackets, or text around them',
    message: lines(
      'Content-Type: multipart/related; boundary=x',
      '',
      '--x',
      'Content-ID: a@b',
      '',
      'a',
      '--x',
      'Content-ID: c <d@e> f',
      '',
      'b',
      '--x',
      'Content-ID: <>',
      '',
      'c',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/related'),
      part('1', TEXT, 'a', { contentId: 'a@b' }),
      part('2', TEXT, 'b', { contentId: 'd@e' }),
      part('3', TEXT, 'c'),
    ],
  },
  {
    name: 'Content-Disposition has an unknown value, or none',
    message: lines(
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Disposition: X-Odd; filename=a.txt',
      '',
      'a',
      '--x',
      'Content-Disposition: ; filename=b.txt',
      '',
      'b',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/mixed'),
      part('1', TEXT, 'a', { disposition: 'x-odd', name: 'a.txt' }),
      part('2', TEXT, 'b', { name: 'b.txt' }),
    ],
  },
]
