/** The beginning of a message's text, on one line. */

/** Text inside these elements is not shown. */
const HIDDEN: ReadonlySet<string> = new Set(['head', 'script', 'style', 'template', 'title'])
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', apos: "'", gt: '>', lt: '<', nbsp: ' ', quot: '"' }
const MAX_ENTITY = 10
const BLANK = /[\s\u{200b}-\u{200d}\u{2060}\u{feff}\u{ad}]/u
const CONTROL = /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/

/** Joins words by one blank, and ends at a number of characters. Characters that are not seen are left out. */
export function snippetOf(text: string, maxCharacters: number): string {
  let snippet = ''
  let left = maxCharacters
  let isBlank = false
  for (let at = 0; at < text.length && left > 0;) {
    const gap = isBlank ? ' ' : ''
    if (left === gap.length) break
    const end = wordsEnd(text, at, left - gap.length)
    const isWords = end > at
    const piece = isWords ? text.slice(at, end) : String.fromCodePoint(text.codePointAt(at) as number)
    at += piece.length
    if (!isWords && BLANK.test(piece)) {
      isBlank = snippet !== ''
    } else if (isWords || !CONTROL.test(piece)) {
      snippet += gap + piece
      left -= gap.length + (isWords ? piece.length : 1)
      isBlank = false
    }
  }
  return snippet
}

/** Returns where visible ASCII characters end, with single blanks between them. */
function wordsEnd(text: string, start: number, max: number): number {
  const last = Math.min(text.length, start + max)
  let end = start
  while (end < last) {
    const code = text.charCodeAt(end)
    const isWord = isVisible(code) || (code === 32 && end > start && isVisible(text.charCodeAt(end + 1)))
    if (!isWord) break
    end++
  }
  return end
}

function isVisible(code: number): boolean {
  return code > 32 && code < 127
}

/** Returns the text that HTML shows, as far as a snippet needs it. Reads each character once. What it returns is text, never markup. */
export function textOfHtml(html: string): string {
  let text = ''
  let hidden = ''
  for (let at = 0; at < html.length;) {
    const open = html.indexOf('<', at)
    const end = open < 0 ? html.length : open
    if (hidden === '') text += decodeEntities(html.slice(at, end))
    if (open < 0) break
    const comment = html.startsWith('<!--', open)
    const close = comment ? html.indexOf('-->', open) : html.indexOf('>', open)
    if (close < 0) break
    const tag = comment ? '' : tagName(html, open + 1)
    if (hidden === '' && HIDDEN.has(tag)) hidden = tag
    else if (hidden !== '' && tag === `/${hidden}`) hidden = ''
    text += ' '
    at = close + (comment ? 3 : 1)
  }
  return text
}

function tagName(html: string, start: number): string {
  let end = start
  while (end < html.length && end - start < MAX_ENTITY && /[A-Za-z/]/.test(html[end] as string)) end++
  return html.slice(start, end).toLowerCase()
}

function decodeEntities(text: string): string {
  return text.replaceAll(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|[a-z]{2,6});/g, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
    return code > 0 && code <= 0x10_ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : ' '
  })
}
