/** Messages at the limits, and beyond them. */
import { lines, type MessageRow, opened, part } from './row.ts'

const MIXED = 'multipart/mixed'
const TEXT = 'text/plain'
const DEEP = 60
const MAX_DEPTH = 50

/** Multiparts inside one another from one depth on, as they are written. */
function nestedFrom(depth: number): string {
  let inner = 'the innermost text'
  for (let i = DEEP - 1; i >= depth; i--) {
    const isLast = i === DEEP - 1
    const type = isLast ? '' : `Content-Type: multipart/mixed; boundary=b${i + 1}.\r\n`
    inner = `--b${i}.\r\n${type}\r\n${inner}\r\n--b${i}.--`
  }
  return inner
}

export const large: readonly MessageRow[] = [
  {
    name: 'multiparts are deeper than the limit',
    message: () => `Content-Type: multipart/mixed; boundary=b0.\r\n\r\n${nestedFrom(0)}\r\n`,
    parts: [
      opened('TEXT', MIXED),
      ...Array.from({ length: MAX_DEPTH - 1 }, (_, i) =>
        opened(
          Array(i + 1)
            .fill('1')
            .join('.'),
          MIXED,
        ),
      ),
      part(Array(MAX_DEPTH).fill('1').join('.'), MIXED, nestedFrom(MAX_DEPTH), { defects: 'depth-limit' }),
    ],
    limits: { maxDepth: MAX_DEPTH },
  },
  {
    name: 'a message has 5,000 parts',
    message: () =>
      lines(
        'Content-Type: multipart/mixed; boundary=x',
        '',
        ...Array.from({ length: 5_000 }, (_, i) => `--x\r\n\r\ntext ${i}`),
        '--x--',
        '',
      ),
    parts: [
      opened('TEXT', MIXED, { defects: 'parts-limit' }),
      ...Array.from({ length: 999 }, (_, i) => part(String(i + 1), TEXT, `text ${i}`)),
    ],
  },
  {
    name: 'a message has 5,000 parts, and may have them',
    message: () =>
      lines(
        'Content-Type: multipart/mixed; boundary=x',
        '',
        ...Array.from({ length: 5_000 }, (_, i) => `--x\r\n\r\ntext ${i}`),
        '--x--',
        '',
      ),
    parts: [opened('TEXT', MIXED), ...Array.from({ length: 5_000 }, (_, i) => part(String(i + 1), TEXT, `text ${i}`))],
    limits: { maxParts: 5_001 },
  },
  {
    name: 'a field has 1 MB',
    message: () => lines('Content-Type: text/html', `Subject: ${'a'.repeat(1_000_000)}`, 'X: b', '', 'text'),
    parts: [
      part('1', 'text/html', 'text', {
        fields: { subject: 'a'.repeat(262_144 - 'Content-Type: text/html\r\nSubject: '.length) },
        defects: 'header-limit',
      }),
    ],
  },
  {
    name: 'a field has 1 MB in 100,000 folded lines',
    message: () => lines('Content-Type: text/html', `Subject: a${'\r\n bcdefgh'.repeat(100_000)}`, '', 'text'),
    parts: [part('1', 'text/html', 'text', { defects: 'header-limit' })],
  },
  {
    name: 'a header section has 10,000 fields',
    message: () =>
      lines('Content-Type: text/html', ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}`), '', 'text'),
    parts: [part('1', 'text/html', 'text', { fields: { 'x-998': '998' }, defects: 'field-limit' })],
  },
  {
    name: 'base64 is one line of 10 MB',
    message: () => lines('Content-Type: image/png', 'Content-Transfer-Encoding: base64', '', 'TWFu'.repeat(2_500_000)),
    parts: [part('1', 'image/png', 'Man'.repeat(2_500_000))],
  },
  {
    name: 'a text is one line of 10 MB',
    message: () =>
      lines('Content-Type: multipart/mixed; boundary=x', '', '--x', '', 'text-'.repeat(2_000_000), '--x--'),
    parts: [opened('TEXT', MIXED), part('1', TEXT, 'text-'.repeat(2_000_000))],
  },
  {
    name: 'a body has 100,000 lines of hyphens',
    message: () => lines('Content-Type: multipart/mixed; boundary=x', '', '--x', '', '--\r\n'.repeat(100_000), '--x--'),
    parts: [opened('TEXT', MIXED), part('1', TEXT, '--\r\n'.repeat(100_000))],
  },
  {
    name: 'a subject has 10,000 encoded words',
    message: () => lines(`Subject: ${'=?utf-8?Q?=C3=A9?= '.repeat(10_000)}`, '', 'text'),
    parts: [part('1', TEXT, 'text', { fields: { subject: 'é'.repeat(10_000) } })],
  },
]
