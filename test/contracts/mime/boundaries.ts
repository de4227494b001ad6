/** Lines that separate parts: RFC 2046 5.1.1. */
import { lines, type MessageRow, opened, part } from './row.ts'

const MIXED = 'multipart/mixed'
const TEXT = 'text/plain'
const X = 'Content-Type: multipart/mixed; boundary=x'
const LONG = 'b'.repeat(100)
const TOO_LONG = 'b'.repeat(201)

export const boundaries: readonly MessageRow[] = [
  {
    name: 'a multipart names no boundary',
    message: lines('Content-Type: multipart/mixed', '', '--x', '', 'a', '--x--', ''),
    parts: [part('1', MIXED, lines('--x', '', 'a', '--x--', ''), { defects: 'multipart-boundary' })],
  },
  {
    name: 'a boundary is empty',
    message: lines('Content-Type: multipart/mixed; boundary=""', '', '--', '', 'a', '----', ''),
    parts: [part('1', MIXED, lines('--', '', 'a', '----', ''), { defects: 'multipart-boundary' })],
  },
  {
    name: 'the lines have another boundary than the field',
    message: lines(X, '', '--y', '', 'a', '--y--', ''),
    parts: [opened('TEXT', MIXED, { defects: 'multipart-unfinished multipart-empty' })],
  },
  {
    name: 'a boundary begins another one',
    message: lines(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      '--b',
      'Content-Type: multipart/alternative; boundary=bb',
      '',
      '--bb',
      '',
      'one',
      '--bb',
      '',
      'two',
      '--bb--',
      '--b',
      '',
      'three',
      '--b--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      opened('1', 'multipart/alternative'),
      part('1.1', TEXT, 'one'),
      part('1.2', TEXT, 'two'),
      part('2', TEXT, 'three'),
    ],
  },
  {
    name: 'a boundary is another one with hyphens behind it',
    message: lines(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      '--b',
      'Content-Type: multipart/alternative; boundary="b--"',
      '',
      '--b--',
      '',
      'one',
      '--b----',
      '--b',
      '',
      'two',
      '--b--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      opened('1', 'multipart/alternative'),
      part('1.1', TEXT, 'one'),
      part('2', TEXT, 'two'),
    ],
  },
  {
    name: 'a multipart inside a multipart has the same boundary',
    message: lines(
      X,
      '',
      '--x',
      '',
      'a',
      '--x',
      'Content-Type: multipart/alternative; boundary=x',
      '',
      '--x',
      '',
      'b',
      '--x--',
      '--x',
      '',
      'c',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      part('1', TEXT, 'a'),
      opened('2', 'multipart/alternative'),
      part('2.1', TEXT, 'b'),
      part('3', TEXT, 'c'),
    ],
  },
  {
    name: 'the closing boundary is missing',
    message: lines(X, '', '--x', '', 'a', '--x', '', 'b', ''),
    parts: [opened('TEXT', MIXED, { defects: 'multipart-unfinished' }), part('1', TEXT, 'a'), part('2', TEXT, 'b\r\n')],
  },
  {
    name: 'the closing boundary of an inner multipart is missing',
    message: lines(
      X,
      '',
      '--x',
      'Content-Type: multipart/alternative; boundary=y',
      '',
      '--y',
      '',
      'a',
      '--x',
      '',
      'b',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', MIXED),
      opened('1', 'multipart/alternative', { defects: 'multipart-unfinished' }),
      part('1.1', TEXT, 'a'),
      part('2', TEXT, 'b'),
    ],
  },
  {
    name: 'there is text before the first part and behind the last one',
    message: lines(X, '', 'This is a multipart.', '-- x', '--x', '', 'a', '--x--', 'behind', '--x', '', 'no part', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'parts are empty',
    message: lines(X, '', '--x', '', '--x', '', '', '--x', '--x--', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, ''), part('2', TEXT, ''), part('3', TEXT, '')],
  },
  {
    name: 'a part is a header section without an empty line',
    message: lines(X, '', '--x', 'Content-Type: text/html', '--x--', ''),
    parts: [opened('TEXT', MIXED), part('1', 'text/html', '')],
  },
  {
    name: 'a multipart closes before its first part',
    message: lines(X, '', 'text', '--x--', ''),
    parts: [opened('TEXT', MIXED, { defects: 'multipart-empty' })],
  },
  {
    name: 'white space follows the boundaries',
    message: lines(X, '', '--x \t ', '', 'a', '--x\t', '', 'b', '--x--  ', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a'), part('2', TEXT, 'b')],
  },
  {
    name: 'a quoted boundary has blanks in it',
    message: lines('Content-Type: multipart/mixed; boundary="a b  c"', '', '--a b  c', '', 'a', '--a b  c--', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'a quoted boundary ends with a blank',
    message: lines('Content-Type: multipart/mixed; boundary="x "', '', '--x', '', 'a', '--x--', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'a boundary has characters that need quotes, and has none',
    message: lines('Content-Type: multipart/mixed; boundary==_a/b?c:d=', '', '--=_a/b?c:d=', '', 'a', '--=_a/b?c:d=--'),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'a boundary is longer than 70 characters',
    message: lines(`Content-Type: multipart/mixed; boundary=${LONG}`, '', `--${LONG}`, '', 'a', `--${LONG}--`, ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'a boundary is far too long',
    message: lines(`Content-Type: multipart/mixed; boundary=${TOO_LONG}`, '', `--${TOO_LONG}`, ''),
    parts: [part('1', MIXED, `--${TOO_LONG}\r\n`, { defects: 'multipart-boundary' })],
  },
  {
    name: 'a boundary is not ASCII',
    message: lines('Content-Type: multipart/mixed; boundary="\xe9"', '', '--\xe9', '', 'a', '--\xe9--', ''),
    parts: [part('1', MIXED, lines('--\xe9', '', 'a', '--\xe9--', ''), { defects: 'multipart-boundary' })],
  },
  {
    name: 'lines look like boundaries and are none',
    message: lines(X, '', '--x', '', '--', '---', '--xy', '--X', '--x y', ' --x', '--x-', '-- ', 'sig', '--x--', ''),
    parts: [
      opened('TEXT', MIXED),
      part('1', TEXT, lines('--', '---', '--xy', '--X', '--x y', ' --x', '--x-', '-- ', 'sig')),
    ],
  },
  {
    name: 'the message ends within the line of the closing boundary',
    message: lines(X, '', '--x', '', 'a', '--x--'),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a')],
  },
  {
    name: 'the message ends behind a boundary that opens a part',
    message: lines(X, '', '--x', '', 'a', '--x'),
    parts: [opened('TEXT', MIXED, { defects: 'multipart-unfinished' }), part('1', TEXT, 'a'), part('2', TEXT, '')],
  },
  {
    name: 'the line ends around boundaries are LF, CRLF and CR LF with CR before them',
    message: `${X}\n\n--x\n\na\r\n--x\n\nb\n--x\r\n\r\nc\r\r\n--x--\n`,
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a'), part('2', TEXT, 'b'), part('3', TEXT, 'c\r')],
  },
  {
    name: 'a part ends with empty lines, which belong to it',
    message: lines(X, '', '--x', '', 'a', '', '', '--x--', ''),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'a\r\n\r\n')],
  },
]
