/**
 * The contract of domains on every runtime. The runtimes' URL differ (Deno and Bun refuse `xn--a`), so nothing of that may show.
 */
import { asciiDomain, sameDomain } from '@postern/engine'
import { Random } from '../../kit/random.ts'

export interface DomainCheck {
  readonly check: string
  /** Throws if the check fails. */
  run(): void
}

/** Text, and the domain that it is. */
const FORMS: readonly (readonly [text: string, ascii: string])[] = [
  ['example.com', 'example.com'],
  ['Example.COM', 'example.com'],
  ['example.com.', 'example.com'],
  ['localhost', 'localhost'],
  ['_dmarc.example.com', '_dmarc.example.com'],
  ['1.2.3.4', '1.2.3.4'],
  ['0x7f.1', '0x7f.1'],
  ['a--b.example', 'a--b.example'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['BÜCHER.Example.', 'xn--bcher-kva.example'],
  ['bu\u{308}cher.example', 'xn--bcher-kva.example'],
  ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
  ['straße.example', 'xn--strae-oqa.example'],
  ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
  ['ابو.مثال', 'xn--mgbc0h.xn--mgbh0fb'],
  ['\u{1f600}.example', 'xn--e28h.example'],
  ['น้ำ.example', 'xn--q3c4c8cq.example'],
  ['é.1', 'xn--9ca.1'],
  ['é.0x1', 'xn--9ca.0x1'],
  // Not the code of any label. Deno and Bun refuse them in a URL.
  ['xn--a', 'xn--a'],
  ['xn--a.example', 'xn--a.example'],
  ['xn--0.example', 'xn--0.example'],
  ['xn--99999999.example', 'xn--99999999.example'],
  ['é.xn--a', 'xn--9ca.xn--a'],
  ['xn--zn7c.é', 'xn--zn7c.xn--9ca'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  [`${'a.'.repeat(126)}a`, `${'a.'.repeat(126)}a`],
]

/** Texts that are not a domain. */
const NONE: readonly string[] = [
  '',
  '.',
  '..',
  '.example',
  'a..example',
  'example..',
  '-a.example',
  'a-.example',
  'é-.example',
  '-é.example',
  '[192.0.2.1]',
  '[IPv6:2001:db8::1]',
  '*.example.com',
  // What URL gives a meaning to.
  'exam%70le.com',
  'é%70.example',
  'x@example.com',
  'é@example.com',
  'é@y',
  'y@é',
  'é:25',
  'é/a',
  'é\\a',
  'é?a',
  'é#a',
  'é a',
  'é\ta',
  'é\r\n.example',
  'é\0',
  'é\u{85}',
  'é[1]',
  // What IDNA maps to ASCII, or to a dot: look-alikes.
  '\u{212a}.example',
  'ex\u{ad}ample.com',
  'ｅｘａｍｐｌｅ.com',
  '１.2.3.4',
  '１',
  '０x7f.1',
  'é。example',
  'é．example',
  'é｡example',
  'é․example',
  'é％70',
  '／é',
  'xn--é',
  'xn--bücher-kva',
  '\u{301}a.example',
  'a\u{200c}b.example',
  'a\u{d800}.example',
  '\u{fffd}.example',
  // Too long: a label, its A-label, the whole.
  `${'a'.repeat(64)}.example`,
  'é'.repeat(80),
  `${'a.'.repeat(127)}a`,
  'é'.repeat(100_000),
]

const SAME: readonly (readonly [string, string])[] = [
  ['bücher.example', 'XN--BCHER-KVA.EXAMPLE.'],
  ['Example.com', 'example.COM'],
  ['faß.example', 'xn--fa-hia.example'],
]
const DIFFERENT: readonly (readonly [string, string])[] = [
  ['faß.example', 'fass.example'],
  ['раypal.example', 'paypal.example'],
  ['example.com', 'example.org'],
  ['example.com', 'sub.example.com'],
  ['bücher.example', 'bucher.example'],
  // Neither is a domain.
  ['', ''],
  ['[192.0.2.1]', '[192.0.2.1]'],
]

/** Pieces of hostile text. */
const PIECES: readonly string[] = [
  ...'aZ9-_..%@/:[]\\ éß例א1',
  'xn--',
  '\u{ad}',
  '。',
  '％',
  '\u{212a}',
  '\u{d800}',
  '\u{301}',
  '\0',
]

export const DOMAIN_CHECKS: readonly DomainCheck[] = [
  {
    check: 'each spelling of a domain has one form',
    run: () => FORMS.forEach(([text, ascii]) => same(text, asciiDomain(text), ascii)),
  },
  {
    check: 'text that is not a domain has no form',
    run: () => NONE.forEach((text) => same(text.slice(0, 100), asciiDomain(text), undefined)),
  },
  {
    check: 'domains are the same if their forms are',
    run() {
      for (const [one, other] of SAME) same(`${one} and ${other}`, sameDomain(one, other), true)
      for (const [one, other] of DIFFERENT) same(`${one} and ${other}`, sameDomain(one, other), false)
    },
  },
  {
    check: 'hostile text never throws, and a form is in ASCII and its own form',
    run() {
      const random = new Random(5890)
      for (let i = 0; i < 5_000; i++) {
        const text = Array.from({ length: 1 + random.below(12) }, () => PIECES[random.below(PIECES.length)]).join('')
        const ascii = asciiDomain(text)
        if (ascii === undefined) continue
        if (!/^[a-z0-9._-]{1,253}$/.test(ascii))
          throw new Error(`${JSON.stringify(text)} became ${JSON.stringify(ascii)}`)
        same(text, asciiDomain(ascii), ascii)
      }
    },
  },
]

function same(what: string, is: unknown, shouldBe: unknown): void {
  if (is !== shouldBe) throw new Error(`${JSON.stringify(what)}: ${String(is)}, not ${String(shouldBe)}`)
}
